"""Sealed blocks in packs, and the journal, over all zones."""
