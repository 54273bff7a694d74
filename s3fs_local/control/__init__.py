"""The control socket: how commands reach an open store, mounted or not."""
