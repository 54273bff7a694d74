"""The one place where failures of the engine become replies to the kernel.

Only `Refused` may leave a handler: any other exception ends the loop, and the mount with it. So
every handler is wrapped, once, when the class is made. A handler that never waits is a plain
function and cannot wait by accident; it runs to its reply in one step.
"""

import errno
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from s3fs_local.engine.activity import Activity, Operation
from s3fs_local.errors import LockError, NoSuchAttribute, S3fsLocalError
from s3fs_local.fuse.errno_table import errno_of

log = logging.getLogger(__name__)


class Front(Protocol):
    """What a class of handlers has for its boundary."""

    activity: Activity
    """The record of requests."""
    on_bug: Callable[[Exception], None]
    """Told of every exception that nobody expected, from the event loop; does not raise."""

    def on_refusal(self, refusal: LockError, arguments: tuple[object, ...]) -> None:
        """Told of every refusal by a lock, with the arguments of the handler; does not raise."""
        ...

    def operation_of(self, kind: str, args: tuple[Any, ...]) -> Operation:
        """What a request is about; does not raise."""
        ...


class Refused(Exception):
    """The request is answered with an errno."""

    def __init__(self, number: int) -> None:
        super().__init__(errno.errorcode.get(number, number))
        self.number = number


F = TypeVar("F", bound=Front)
P = ParamSpec("P")
T = TypeVar("T")


def answered(handler: Callable[Concatenate[F, P], T]) -> Callable[Concatenate[F, P], T]:
    """A handler from a function that never waits. Raises `Refused`."""
    kind = handler.__name__

    @wraps(handler)
    def guarded(front: F, /, *args: P.args, **kwargs: P.kwargs) -> T:
        operation = front.operation_of(kind, args)
        front.activity.begin(operation)
        failed = ""
        try:
            return handler(front, *args, **kwargs)
        except Exception as failure:  # noqa: BLE001  the boundary
            failed = _name_of(failure)
            raise _reply(front, kind, failure, args) from None
        finally:
            front.activity.end(operation, failure=failed)

    return guarded


def answered_later(
    handler: Callable[Concatenate[F, P], Awaitable[T]],
) -> Callable[Concatenate[F, P], Coroutine[Any, Any, T]]:
    """A handler from a function that may wait (through the gate, and only so). Raises `Refused`."""
    kind = handler.__name__

    @wraps(handler)
    async def guarded(front: F, /, *args: P.args, **kwargs: P.kwargs) -> T:
        operation = front.operation_of(kind, args)
        front.activity.begin(operation)
        failed = ""
        try:
            return await handler(front, *args, **kwargs)
        except Exception as failure:  # noqa: BLE001  the boundary
            failed = _name_of(failure)
            raise _reply(front, kind, failure, args) from None
        finally:
            front.activity.end(operation, failure=failed)

    return guarded


def unanswered(
    handler: Callable[Concatenate[F, P], None],
) -> Callable[Concatenate[F, P], None]:
    """A handler for a request that has no reply: not even `Refused` may leave it."""
    kind = handler.__name__

    @wraps(handler)
    def guarded(front: F, /, *args: P.args, **kwargs: P.kwargs) -> None:
        operation = front.operation_of(kind, args)
        front.activity.begin(operation)
        failed = ""
        try:
            handler(front, *args, **kwargs)
        except Exception as failure:  # noqa: BLE001  the boundary
            failed = _name_of(failure)
            _reply(front, kind, failure, args)
        finally:
            front.activity.end(operation, failure=failed)

    return guarded


def _name_of(failure: Exception) -> str:
    """How the record calls it; "" for what is no failure."""
    # Before every write the kernel asks for an attribute that hardly any file has.
    return "" if isinstance(failure, NoSuchAttribute) else type(failure).__name__


def _reply(front: Front, kind: str, failure: Exception, arguments: tuple[object, ...]) -> Refused:
    """The errno of an expected failure; EIO for a bug, which is logged and reported."""
    if isinstance(failure, LockError):
        front.on_refusal(failure, arguments)
    if isinstance(failure, S3fsLocalError):
        return Refused(errno_of(failure))
    log.error("%s failed in a way nobody expected", kind, exc_info=failure)
    front.on_bug(failure)
    return Refused(errno.EIO)
