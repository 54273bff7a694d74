"""What the filesystem does: the one place where rules, facts and bytes meet."""
