"""The kernel's way in: FUSE requests become engine calls, and the mount lives here."""
