"""What is stored of the facts: names, inodes, versions, layouts, over time."""
