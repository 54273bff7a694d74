"""What the two sides of replication say to each other, as values.

The source speaks: each message but those that carry (`Block`, `TakeFile`, `TakeVersion`) has one
answer. What was carried counts when `Settle` is answered: then it is durable, or told as a failure.
Whatever is said twice changes nothing, so either side may end at any moment.
"""

from typing import Final

import msgspec
from msgspec import Struct

from s3fs_local.errors import ControlError
from s3fs_local.rules.inode import Inode, KeptAttributes
from s3fs_local.rules.namespace import Entry
from s3fs_local.rules.versioning import Version

PROTOCOL: Final = 2
MESSAGE_BYTES_MAX: Final = 1 << 28
"""The layout of a file of some terabytes fits."""
HELD: Final = -1
"""In `Answer.below`: the version itself is there."""


class Origin(Struct, frozen=True, array_like=True):
    """The store that made a file or block, and its number there."""

    store: bytes
    number: int


ROOT: Final = Origin(b"", 1)
"""The root directory, which every store has."""


class Hello(Struct, frozen=True, tag="hello", kw_only=True):
    """A source would like to tell something."""

    protocol: int
    source: bytes  # id of its store
    path: str  # of its store, on its host
    host: str
    replica_of: str  # id of the store that it is, or was, a replica of; hexadecimal
    expects: str = ""  # id of the store that it told before; hexadecimal; "" = none yet


class Welcome(Struct, frozen=True, tag="welcome"):
    """The destination takes what it is told."""

    store: bytes
    has_object_lock: bool


class Refusal(Struct, frozen=True, tag="refusal"):
    """The destination takes nothing from this source."""

    reason: str  # S3's; empty where it may end by itself
    message: str


class Question(Struct, frozen=True, array_like=True):
    """What is there of a file?"""

    origin: Origin
    stamps: tuple[int, ...] = ()  # of versions


class Look(Struct, frozen=True, tag="look"):
    """Questions about files."""

    questions: tuple[Question, ...]


class Answer(Struct, frozen=True, array_like=True):
    """What there is of a file."""

    is_there: bool = False
    newest_ns: int = 0  # the current version
    newest_is_known: bool = True  # other regions have it, or had it before they removed it
    below: tuple[int, ...] = ()  # for each stamp the version before it; `HELD`; 0 = none
    kept_ns: int = 0  # the last of its earlier attributes
    named_ns: int = 0  # of a directory: see `placed_ns`


class Looked(Struct, frozen=True, tag="looked"):
    """The answers, in the order of the questions."""

    answers: tuple[Answer, ...]


class AskBlocks(Struct, frozen=True, tag="ask-blocks"):
    """Which of these blocks are missing?"""

    blocks: tuple[Origin, ...]


class Missing(Struct, frozen=True, tag="missing"):
    """These are."""

    blocks: tuple[Origin, ...]


class Block(Struct, frozen=True, tag="block"):
    """The plaintext of one block of a file."""

    file: Origin
    stamp_ns: int  # of the version that needs it
    block: Origin
    offset: int
    plain: bytes
    algorithm: str  # how the replica is encrypted
    key: str
    has_bucket_key: bool


class Keep(Struct, frozen=True, tag="keep"):
    """Blocks that were carried so far shall outlive the connection: their version is large."""

    files: tuple[tuple[Origin, Inode], ...]  # whose; to make the file with, if it is not there


class Kept(Struct, frozen=True, tag="kept"):
    """They do."""


class Name(Struct, frozen=True, array_like=True):
    """An interval of a name, as the destination is to have it."""

    parent: Origin
    entry: Entry  # numbers of inodes in it mean nothing
    marker: Entry | None = None  # the delete marker at its end
    before: tuple[Origin, ...] = ()  # what had the name before and was not made by the source
    is_end_told: bool = True  # False: how long it lasts is not said


class TakeFile(Struct, frozen=True, tag="take-file"):
    """Attributes and names of a file, directory, link or special file."""

    origin: Origin
    inode: Inode
    names: tuple[Name, ...] = ()
    kept: tuple[KeptAttributes, ...] = ()
    if_held: bool = False
    with_next: bool = False  # it counts together with the next one, which takes or gives a name


class TakeVersion(Struct, frozen=True, tag="take-version"):
    """A version of a file, whose missing blocks were carried before."""

    origin: Origin
    version: Version
    inode: Inode  # to make the file with, if it is not there
    storage_class: str = ""
    if_held: bool = False
    base_ns: int = 0  # `cells` differ from this version, the one below; 0: they are all there are
    cells: tuple[tuple[int, bytes], ...] = ()
    blocks: dict[int, Origin] = {}  # what the numbers in the layouts are; others are the source's


class Settle(Struct, frozen=True, tag="settle"):
    """What was carried shall be durable."""


class Failed(Struct, frozen=True, array_like=True):
    """Something that was carried was not taken."""

    origin: Origin
    stamp_ns: int
    reason: str
    message: str


class Settled(Struct, frozen=True, tag="settled"):
    """It is durable, but for these."""

    failures: tuple[Failed, ...] = ()
    again: tuple[tuple[Origin, int], ...] = ()  # versions that were told upon one that is not there


class List(Struct, frozen=True, tag="list"):
    """Which files are there, behind this inode?"""

    after: int
    limit: int


class Listed(Struct, frozen=True, array_like=True):
    """A file at the destination."""

    ino: int
    origin: Origin
    path: bytes
    versions: tuple[tuple[int, int, int], ...]  # stamp, salt, size


class Listing(Struct, frozen=True, tag="listing"):
    """They are; none: there are no more."""

    files: tuple[Listed, ...]


Message = Hello | Look | AskBlocks | Block | Keep | TakeFile | TakeVersion | Settle | List
Reply = Welcome | Refusal | Looked | Missing | Kept | Settled | Listing

encode: Final = msgspec.msgpack.Encoder().encode
_messages: Final[msgspec.msgpack.Decoder[Message]] = msgspec.msgpack.Decoder(Message)
_replies: Final[msgspec.msgpack.Decoder[Reply]] = msgspec.msgpack.Decoder(Reply)


def decode_message(data: bytes) -> Message:
    """What the source said.

    Raises:
        ControlError: it makes no sense.
    """
    try:
        return _messages.decode(data)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ControlError(f"a message of replication makes no sense: {error}") from error


def decode_reply(data: bytes) -> Reply:
    """What the destination answered.

    Raises:
        ControlError: it makes no sense.
    """
    try:
        return _replies.decode(data)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ControlError(f"an answer of replication makes no sense: {error}") from error
