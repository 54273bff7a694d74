"""What the system refused, as an error of ours: a command ends with a sentence about it."""

import os
from pathlib import Path

from s3fs_local import errors
from s3fs_local.cli.standard_streams import OUTPUT
from s3fs_local.system.durable_files import NO_SPACE, store_full


def as_refusal(error: errors.S3fsLocalError | OSError) -> errors.S3fsLocalError:
    """The same error as one that names the file and says why it could not be used.

    Raises:
        OSError: it names no file: a fault of ours, and nothing that a person could mend.
    """
    if isinstance(error, errors.S3fsLocalError):
        return error
    if error.filename is None and _is_nowhere():
        return errors.PathUnusable("the current directory was removed: cd to one that is there")
    if error.filename is None:
        raise error
    if error.filename == OUTPUT:
        return errors.PathUnusable(f"what was printed could not be written: {error.strerror}")
    path = os.fsdecode(error.filename)
    if isinstance(error, PermissionError):
        return errors.NotPermitted(f"{path}: {error.strerror}")
    if error.errno in NO_SPACE:
        return store_full(error.errno, path)
    return errors.PathUnusable(f"{path}: {error.strerror}")


def _is_nowhere() -> bool:
    """Whether somebody removed the directory in which this process is."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False
