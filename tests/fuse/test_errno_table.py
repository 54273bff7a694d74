"""Every expected failure has its errno."""

import errno

from s3fs_local import errors
from s3fs_local.fuse.errno_table import ERRNO_BY_ERROR, errno_of


def leaves(kind: type[errors.S3fsLocalError]) -> set[type[errors.S3fsLocalError]]:
    """The classes below it that have none below them."""
    below = kind.__subclasses__()
    if not below:
        return {kind}
    return set().union(*(leaves(each) for each in below))


def test_every_leaf_of_the_error_tree_has_an_errno_and_nothing_else_has() -> None:
    """A forgotten one would reach programs as a plain I/O error.

    `StoreFull` and `InvalidSetting` are no leaves, but raised: a quota and a document are the kinds
    of them that have names of their own.
    """
    assert set(ERRNO_BY_ERROR) == {errors.StoreFull, errors.InvalidSetting} | {
        leaf for leaf in leaves(errors.S3fsLocalError) if leaf.__module__ == errors.__name__
    }


def test_the_errno_of_an_error_is_that_of_its_class_or_the_nearest_above() -> None:
    """An engine may narrow an error; programs see what they know."""

    class ProtectedByCase(errors.Protected):
        pass

    assert errno_of(ProtectedByCase()) == errno.EPERM
    assert errno_of(errors.LockError()) == errno.EIO


def test_the_errnos_that_are_promised_to_users() -> None:
    """The table in docs/semantics.md; scripts rely on it."""
    promised = {
        errors.Protected: errno.EPERM,
        errors.BypassNotPermitted: errno.EACCES,
        errors.WriterActive: errno.EBUSY,
        errors.InvalidRetention: errno.EINVAL,
        errors.VersioningRequired: errno.EBUSY,
        errors.ObjectLockDisabled: errno.EOPNOTSUPP,
        errors.KeyMissing: errno.ENOKEY,
        errors.DataDamaged: errno.EIO,
        errors.ReadOnlyView: errno.EROFS,
        errors.StoreFull: errno.ENOSPC,
        errors.QuotaExceeded: errno.EDQUOT,
    }

    assert {kind: errno_of(kind()) for kind in promised} == promised
