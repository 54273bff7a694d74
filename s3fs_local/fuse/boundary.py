"""The one place where failures of the engine become replies to the kernel.

Only `Refused` may leave a handler: any other exception ends the loop, and the mount with it. So
every handler is wrapped, once, when the class is made. A handler is a plain function and runs to
its result in one step; one that must wait gives a coroutine instead, which waits through the gate.
Most that may wait need not, and then no coroutine is made.
"""

import errno
import logging
from collections.abc import Callable, Coroutine
from functools import wraps
from types import CoroutineType
from typing import Any, Protocol, TypeAlias, TypeVar, TypeVarTuple, cast

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
T = TypeVar("T")
Eventual: TypeAlias = T | Coroutine[Any, Any, T]
"""A result, or what waits for it."""
Ts = TypeVarTuple("Ts")


def answered(handler: Callable[[F, *Ts], T]) -> Callable[[F, *Ts], T]:
    """A handler from a function that gives its result, or a coroutine of it. Raises `Refused`."""
    kind = handler.__name__

    @wraps(handler)
    def guarded(front: F, /, *args: *Ts) -> T:
        operation = front.operation_of(kind, args)
        front.activity.begin(operation)
        try:
            result = handler(front, *args)
        except Exception as failure:  # noqa: BLE001  the boundary
            raise _failed(front, operation, failure, args) from None
        if isinstance(result, CoroutineType):
            return cast(T, _answered_later(front, operation, result, args))
        front.activity.end(operation)
        return result

    return guarded


async def _answered_later(
    front: Front,
    operation: Operation,
    result: Coroutine[Any, Any, object],
    arguments: tuple[object, ...],
) -> object:
    """The result, once its handler has waited. Raises `Refused`."""
    try:
        answer = await result
    except Exception as failure:  # noqa: BLE001  the boundary
        raise _failed(front, operation, failure, arguments) from None
    except BaseException:
        front.activity.end(operation)
        raise
    front.activity.end(operation)
    return answer


def unanswered(handler: Callable[[F, *Ts], None]) -> Callable[[F, *Ts], None]:
    """A handler for a request that has no reply: not even `Refused` may leave it."""
    kind = handler.__name__

    @wraps(handler)
    def guarded(front: F, /, *args: *Ts) -> None:
        operation = front.operation_of(kind, args)
        front.activity.begin(operation)
        try:
            handler(front, *args)
        except Exception as failure:  # noqa: BLE001  the boundary
            _failed(front, operation, failure, args)
        else:
            front.activity.end(operation)

    return guarded


def _failed(
    front: Front, operation: Operation, failure: Exception, arguments: tuple[object, ...]
) -> Refused:
    """The errno of an expected failure; EIO for a bug, which is logged and reported."""
    # That a file lacks an attribute is for the record no failure: programs ask without need.
    is_everyday = isinstance(failure, NoSuchAttribute)
    front.activity.end(operation, failure="" if is_everyday else type(failure).__name__)
    if isinstance(failure, LockError):
        front.on_refusal(failure, arguments)
    if isinstance(failure, S3fsLocalError):
        return Refused(errno_of(failure))
    log.error("%s failed in a way nobody expected", operation.kind, exc_info=failure)
    front.on_bug(failure)
    return Refused(errno.EIO)
