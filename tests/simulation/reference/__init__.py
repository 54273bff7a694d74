"""What the filesystem means, as plainly as it can be said: dictionaries, lists and whole contents.

It knows nothing of blocks, journals or intervals, and imports nothing of the filesystem. Time is a
number of seconds and stands still during a call; errors are named, not classes. `locks` says what
WORM locks forbid, `clock` what ends them.
"""
