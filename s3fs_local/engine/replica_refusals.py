"""Why a destination cannot take what a source tells it, in S3's reasons."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from s3fs_local.errors import (
    EncryptionError,
    KeyMissing,
    KeyServiceUnavailable,
    LockError,
    ReplicaDiverged,
)
from s3fs_local.rules.replication import Reason


class Refused(Exception):
    """The destination cannot take the version, for this reason of S3's."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class BaseMissing(Exception):
    """The version was told upon another one, which is not there; it will be told anew."""


@contextmanager
def noting(note: Callable[[Reason, str], None]) -> Iterator[None]:
    """What cannot be taken is noted, and the rest goes on."""
    try:
        yield
    except Refused as refused:
        note(refused.reason, str(refused))
    except LockError as error:
        note(Reason.DST_NOT_PERMITTED, str(error))
    except KeyServiceUnavailable:
        raise
    except KeyMissing as error:
        note(Reason.DST_KMS_KEY_NOT_FOUND, str(error))
    except EncryptionError as error:
        note(Reason.DST_KMS_KEY_INVALID, str(error))
    except ReplicaDiverged as error:
        note(Reason.DST_DIVERGED, str(error))
