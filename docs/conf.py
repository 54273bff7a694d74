"""How Sphinx makes the site of these pages; `scripts/docs` runs it."""

project = "s3fs_local"
author = "the authors of s3fs_local"
extensions = ["myst_parser"]
root_doc = "index"
myst_heading_anchors = 4  # links to headings, as every host of Markdown makes them
html_theme = "furo"
html_title = "s3fs_local"
nitpicky = True
exclude_patterns = ["_build"]
