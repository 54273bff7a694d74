"""The words on the control socket, as values and as bytes; no sockets here.

One connection carries one command. The client sends one request; the server answers with any
number of `Progress` and `Data` frames and exactly one `Result` or `Failure`. A frame is four bytes
of length (big endian) and a msgpack map with a `type`. Requests are in `control.requests`.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from s3fs_local import errors

SOCKET_NAME: Final = "control.sock"
REQUEST_BYTES_MAX: Final = 1 << 20
"""A legal hold on ten thousand paths fits; nothing sensible is larger."""
REPLY_BYTES_MAX: Final = 1 << 28
"""The history of a million versions fits."""
HEADER_BYTES: Final = 4
INTERNAL_ERROR: Final = "InternalError"
"""`Failure.code` of a bug; what happened is in the daemon's log."""


class Progress(Struct, frozen=True, tag="progress", tag_field="type"):
    """`done` of `total` units (0 = unknown) are finished."""

    what: str
    done: int
    total: int = 0


class Data(Struct, frozen=True, tag="data", tag_field="type"):
    """The next bytes of a file's content."""

    chunk: bytes


class Result(Struct, frozen=True, tag="result", tag_field="type"):
    """The command is done, and this came of it."""

    value: object


class Failure(Struct, frozen=True, tag="failure", tag_field="type"):
    """The command failed: the name of the error's class and its message."""

    code: str
    message: str


Reply = Progress | Data | Result | Failure

_encoder = msgspec.msgpack.Encoder()
_reply_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def frame(message: Struct) -> bytes:
    """The message as it goes over the wire."""
    body = _encoder.encode(message)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def body_length(header: bytes, *, limit_bytes: int) -> int:
    """How many bytes follow the header.

    Raises:
        InvalidArgument: more than `limit_bytes`.
    """
    length = int.from_bytes(header, "big")
    if length > limit_bytes:
        raise errors.InvalidArgument(
            f"a message of {length} bytes is over the {limit_bytes} allowed"
        )
    return length


def decode_reply(body: bytes) -> Reply:
    """The reply in the body of a frame.

    Raises:
        ControlError: the bytes are no reply.
    """
    try:
        return _reply_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise errors.ControlError(f"the daemon's answer makes no sense: {error}") from error


def failure_of(error: errors.S3fsLocalError) -> Failure:
    """The failure that `error_of` turns into the same error on the other side."""
    return Failure(code=type(error).__name__, message=str(error))


def error_of(failure: Failure) -> errors.S3fsLocalError:
    """The error that the daemon met, as an error of ours."""
    for kind in error_classes(errors.S3fsLocalError):
        if kind.__name__ == failure.code:
            return kind(failure.message)
    return errors.ControlError(f"{failure.code}: {failure.message}")


def error_classes(
    root: type[errors.S3fsLocalError],
) -> Iterator[type[errors.S3fsLocalError]]:
    """`root` and every class of error below it."""
    yield root
    for kind in root.__subclasses__():
        yield from error_classes(kind)
