"""Sealing bytes and wrapping keys."""
