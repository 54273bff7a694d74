"""Requests and replies byte by byte, against <linux/fuse.h>."""

import errno
import os
import stat
import struct

import pytest
from msgspec import structs

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.filesystem import Space
from s3fs_local.engine.open_files import OpenedFile
from s3fs_local.fuse import protocol, replies
from s3fs_local.fuse.answers import answers_of, greeting
from s3fs_local.fuse.boundary import Refused
from s3fs_local.fuse.protocol import Feature, Opcode
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO, Caller, Inode

CALLER = Caller(uid=1000, gid=100, pid=7)
FILE = Inode(
    ino=5,
    mode=stat.S_IFREG | 0o640,
    uid=1000,
    gid=100,
    nlink=2,
    size=1 << 33,
    allocated=513,
    atime_ns=1_500_000_000,
    mtime_ns=-1,
    ctime_ns=2_000_000_003,
)


@pytest.mark.parametrize(
    ("layout", "size"),
    [
        (protocol.IN_HEADER, 40),
        (protocol.OUT_HEADER, 16),
        (protocol.BATCH_FORGET_IN, 8),
        (protocol.FORGET_ONE, 16),
        (protocol.SETATTR_IN, 88),
        (protocol.MKNOD_IN, 16),
        (protocol.MKDIR_IN, 8),
        (protocol.RENAME_IN, 8),
        (protocol.RENAME2_IN, 16),
        (protocol.LINK_IN, 8),
        (protocol.OPEN_IN, 8),
        (protocol.CREATE_IN, 16),
        (protocol.WRITE_IN, 40),
        (protocol.SETXATTR_IN, 8),
        (protocol.SETXATTR_EXT_IN, 16),
        (protocol.GETXATTR_IN, 8),
        (protocol.ATTR_OUT, 104),
        (protocol.STATX_OUT, 288),
        (protocol.ENTRY_OUT, 128),
        (protocol.OPEN_OUT, 16),
        (protocol.WRITE_OUT, 8),
        (protocol.STATFS_OUT, 80),
        (protocol.GETXATTR_OUT, 8),
        (protocol.DIRENT, 24),
        (protocol.INIT_OUT, 64),
        (protocol.INVALIDATE_INODE_OUT, 24),
        (protocol.INVALIDATE_ENTRY_OUT, 16),
    ],
)
def test_layouts_are_as_long_as_the_structures_of_the_kernel(
    layout: struct.Struct, size: int
) -> None:
    """The kernel refuses a reply of another length, and a name would begin elsewhere."""
    assert layout.size == size


def test_attributes_are_where_the_kernel_looks_for_them() -> None:
    """`struct fuse_attr_out`, times before 1970 included; blocks are of 512 bytes."""
    day, *rest = struct.unpack("=QIIQQQqqqIIIIIIIIII", replies.attributes(FILE))

    assert day == 86_400
    assert rest[:2] == [0, 0]
    assert rest[2:5] == [5, 1 << 33, 2]
    assert rest[5:11] == [1, -1, 2, 500_000_000, 999_999_999, 3]
    assert rest[11:15] == [FILE.mode, 2, 1000, 100]
    assert rest[16] == replies.BLOCK_SIZE_BYTES


def test_statx_also_tells_when_a_file_was_made() -> None:
    """`struct fuse_statx`; a time that is not known is not claimed."""
    times = {"btime_ns": 7_000_000_008, "rdev": os.makedev(4, 65)}
    told = replies.all_attributes(structs.replace(FILE, **times))

    assert struct.unpack_from("=QI", told) == (86_400, 0)
    mask, block, flags, links, uid, gid, mode = struct.unpack_from("=IIQIIIH", told, 32)
    assert (mask, block, flags, links) == (0xFFF, replies.BLOCK_SIZE_BYTES, 0, 2)
    assert (uid, gid, mode) == (1000, 100, FILE.mode)
    assert struct.unpack_from("=QQQ", told, 64) == (5, 1 << 33, 2)
    seen = [struct.unpack_from("=qI", told, 96 + 16 * number) for number in range(4)]
    assert seen == [(1, 500_000_000), (7, 8), (2, 3), (-1, 999_999_999)]
    assert struct.unpack_from("=II", told, 160) == (4, 65)
    assert struct.unpack_from("=I", replies.all_attributes(FILE), 32) == (0x7FF,)


def test_the_kernel_remembers_names_of_files_and_of_nothing_but_not_of_views() -> None:
    """Views change by themselves, and nobody would tell."""

    def lifetimes(entry: bytes) -> tuple[int, ...]:
        return struct.unpack_from("=Q8xQQ", entry)

    view = Inode(ino=FIRST_VIRTUAL_INO, mode=stat.S_IFDIR, uid=0, gid=0)
    assert lifetimes(replies.entry(FILE)) == (5, 86_400, 86_400)
    assert lifetimes(replies.entry(view)) == (FIRST_VIRTUAL_INO, 0, 0)
    assert lifetimes(replies.ABSENT) == (0, 86_400, 0)
    assert len(replies.ABSENT) == len(replies.entry(FILE))


@pytest.mark.parametrize(
    ("flags", "file", "expected"),
    [
        (os.O_RDONLY, OpenedFile(9), 0b100010),  # kept, and its close is of no interest
        (os.O_RDONLY | os.O_TRUNC, OpenedFile(9), 0b10),
        (os.O_WRONLY, OpenedFile(9, keep_cache=False), 0),
        (os.O_RDWR, OpenedFile(9, keep_cache=False, direct_io=True), 1),
    ],
)
def test_only_files_that_are_read_are_closed_without_a_word(
    flags: int, file: OpenedFile, expected: int
) -> None:
    """What was written becomes a version at close(2), which must be able to fail."""
    assert struct.unpack("=QII", replies.opened(file, flags)) == (9, expected, 0)


def test_a_new_file_is_closed_with_a_word_even_if_nobody_can_write_it() -> None:
    """`open(path, O_CREAT | O_RDONLY)`: its close makes the first version, which is empty."""
    reply = replies.opened(OpenedFile(9), os.O_RDONLY | os.O_CREAT, is_new=True)
    assert struct.unpack("=QII", reply) == (9, 0b10, 0)


def test_a_listing_is_aligned_and_ends_where_the_buffer_does() -> None:
    """`struct fuse_direntplus`: a name too long for the rest is left for the next request."""
    listing = replies.Listing(152 + 8 + 152 + 16)

    assert listing.add(b"abc", FILE, 1)
    assert listing.add(b"nine char", FILE, 2)
    assert not listing.add(b"x", FILE, 3)
    body = listing.body()
    assert body[:128] == body[160:288] == replies.entry(FILE)
    assert struct.unpack_from("=QQII8s", body, 128) == (5, 1, 3, 8, b"abc" + bytes(5))
    assert struct.unpack_from("=QQII16s", body, 288) == (5, 2, 9, 8, b"nine char" + bytes(7))
    assert len(body) == 328


def test_room_is_told_in_blocks() -> None:
    """`struct fuse_kstatfs`."""
    room = Space(block_bytes=4096, blocks=6, free=5, available=4, files=3, files_free=2)
    expected = (6, 5, 4, 3, 2, 4096, 255, 4096)
    assert struct.unpack_from("=QQQQQIII", replies.space(room)) == expected


class Told:
    """Handlers that say what they were asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def __getattr__(self, name: str) -> object:
        def note(*arguments: object) -> object:
            self.calls.append((name, *arguments))
            return FILE if name in {"lookup", "mknod", "mkdir", "symlink", "link"} else 0

        async def note_later(*arguments: object) -> object:
            note(*arguments)
            return {"create": (OpenedFile(1), FILE), "open": OpenedFile(1), "read": b"r"}.get(
                name, FILE
            )

        later = {"create", "open", "read", "setattr", "setxattr", "fsync", "fsyncdir"}
        return note_later if name in later else note


ASKED = [
    (Opcode.LOOKUP, b"name\0", ("lookup", 2, b"name", CALLER)),
    (Opcode.FORGET, struct.pack("=Q", 3), ("forget", [(2, 3)])),
    (
        Opcode.BATCH_FORGET,
        struct.pack("=IIQQQQ", 2, 0, 5, 1, 6, 2) + b"beyond",
        ("forget", [(5, 1), (6, 2)]),
    ),
    (Opcode.MKNOD, struct.pack("=IIII", 0o10644, 7, 0, 0) + b"n\0", ("mknod", 2, b"n", 0o10644, 7)),
    (Opcode.MKDIR, struct.pack("=II", 0o1755, 0) + b"n\0", ("mkdir", 2, b"n", 0o41755)),
    (Opcode.SYMLINK, b"n\0../to\0", ("symlink", 2, b"n", b"../to")),
    (Opcode.LINK, struct.pack("=Q", 8) + b"n\0", ("link", 8, 2, b"n")),
    (Opcode.UNLINK, b"n\0", ("unlink", 2, b"n")),
    (Opcode.RMDIR, b"n\0", ("rmdir", 2, b"n")),
    (Opcode.RENAME, struct.pack("=Q", 3) + b"a\0b\0", ("rename", 2, b"a", 3, b"b", 0)),
    (Opcode.RENAME2, struct.pack("=QII", 3, 2, 0) + b"a\0b\0", ("rename", 2, b"a", 3, b"b", 2)),
    (Opcode.OPEN, struct.pack("=II", os.O_RDWR, 0), ("open", 2, os.O_RDWR, False)),
    (Opcode.OPEN, struct.pack("=II", os.O_TRUNC, 1), ("open", 2, os.O_TRUNC, True)),
    (Opcode.CREATE, struct.pack("=IIII", 1, 0o644, 0, 0) + b"n\0", ("create", 2, b"n", 0o644, 1)),
    (Opcode.READ, struct.pack("=QQIIQII", 4, 5, 6, 0, 0, 0, 0), ("read", 4, 5, 6)),
    (
        Opcode.WRITE,
        struct.pack("=QQIIQII", 4, 5, 3, 0, 0, 0, 0) + b"abc",
        ("write", 4, 5, b"abc", None),
    ),
    (
        Opcode.WRITE,
        struct.pack("=QQIIQII", 4, 5, 3, 0b100, 0, 0, 0) + b"abc",
        ("write", 4, 5, b"abc", CALLER),
    ),
    (Opcode.FLUSH, struct.pack("=QIIQ", 4, 0, 0, 9), ("flush", 4)),
    (Opcode.RELEASE, struct.pack("=QIIQ", 4, 0, 0, 9), ("release", 4)),
    (Opcode.FSYNC, struct.pack("=QII", 4, 1, 0), ("fsync", 4, True)),
    (Opcode.RELEASEDIR, struct.pack("=QIIQ", 4, 0, 0, 9), ("releasedir", 4)),
    (Opcode.FSYNCDIR, struct.pack("=QII", 4, 0, 0), ("fsyncdir", 4, False)),
    (
        Opcode.SETXATTR,
        struct.pack("=II", 3, 1) + b"user.n\0v\0w",
        ("setxattr", 2, b"user.n", b"v\0w", 1, False),
    ),
    (
        Opcode.SETXATTR,
        struct.pack("=IIII", 3, 1, 0, 0) + b"user.n\0v\0w",
        ("setxattr", 2, b"user.n", b"v\0w", 1, False),
    ),
    (
        Opcode.SETXATTR,
        struct.pack("=IIII", 3, 0, 1, 0) + b"user.n\0v\0w",
        ("setxattr", 2, b"user.n", b"v\0w", 0, True),
    ),
    (Opcode.REMOVEXATTR, b"user.n\0", ("removexattr", 2, b"user.n")),
    (
        Opcode.SETATTR,
        struct.pack(
            "=IIQQQqqqIIIIIIII", 0b1_1111, 0, 0, 10, 0, -2, 1, 1, 5, 6, 7, 0o600, 0, 1, 2, 0
        ),
        ("setattr", 2, AttributeChange(0o600, 1, 2, 10, -2_000_000_000 + 5, None), None),
    ),
    (
        Opcode.SETATTR,
        struct.pack("=IIQQQqqqIIIIIIII", 0b1110_0000, 0, 4, 0, 0, 0, 3, 0, 0, 6, 0, 0, 0, 0, 0, 0),
        ("setattr", 2, AttributeChange(mtime_ns=3_000_000_006), 4),
    ),
    (
        Opcode.SETATTR,
        struct.pack("=IIQQQqqqIIIIIIII", 1 << 11 | 0b1000, 0, 0, 7, *[0] * 12),
        ("setattr", 2, AttributeChange(size=7, takes_set_id_bits=True), None),
    ),
]


@pytest.mark.parametrize(("opcode", "body", "call"), ASKED)
async def test_a_request_reaches_its_handler_as_it_was_meant(
    opcode: Opcode, body: bytes, call: tuple[object, ...]
) -> None:
    """Names without their zero byte, values with theirs, numbers in their places."""
    told = Told()
    answer = answers_of(told)[opcode]
    reply = answer(2, CALLER, memoryview(bytes(40) + body))
    if not isinstance(reply, bytes | int):
        await reply

    ((name, *arguments),) = told.calls
    if arguments[-1] == CALLER and call[-1] != CALLER:
        arguments.pop()
    assert (name, *arguments) == call


class Attributed:
    """A file with one extended attribute."""

    def getxattr(self, *_: object) -> bytes:
        """Its value."""
        return b"value"

    def listxattr(self, *_: object) -> list[bytes]:
        """Its name."""
        return [b"user.n"]


def test_who_asks_without_a_buffer_is_told_how_long_it_must_be() -> None:
    """getxattr(2) and listxattr(2) with a size of 0; too small a buffer is ERANGE."""
    answers = answers_of(Attributed())

    def ask(opcode: Opcode, size: int) -> object:
        return answers[opcode](2, CALLER, memoryview(bytes(40) + struct.pack("=II", size, 0)))

    assert ask(Opcode.GETXATTR, 0) == struct.pack("=II", 5, 0)
    assert ask(Opcode.GETXATTR, 5) == b"value"
    assert ask(Opcode.LISTXATTR, 0) == struct.pack("=II", 7, 0)
    assert ask(Opcode.LISTXATTR, 64) == b"user.n\0"
    with pytest.raises(Refused) as refused:
        ask(Opcode.GETXATTR, 4)
    assert refused.value.number == errno.ERANGE


def test_what_handlers_lack_has_no_answer() -> None:
    """The kernel is told ENOSYS then, and does without."""
    assert set(answers_of(Attributed())) == {Opcode.GETXATTR, Opcode.LISTXATTR}


def greeted(major: int, minor: int, features: int) -> tuple[tuple[int, ...], list[str]]:
    """The reply to a kernel that introduces itself so, and whether that was all."""
    told: list[str] = []
    init = greeting(Feature.POSIX_ACL | Feature.ASYNC_READ, lambda: told.append("greeted"))
    body = struct.pack("=IIII44x", major, minor, 131_072, features)
    reply = init(0, CALLER, memoryview(bytes(40) + body))
    assert isinstance(reply, bytes)
    return struct.unpack("=IIIIHHIIHHI28x", reply), told


def test_only_what_both_can_do_is_agreed_on() -> None:
    """A feature that the kernel lacks must not be counted on; one not asked for not be taken."""
    offered = Feature.ASYNC_READ | Feature.WRITEBACK_CACHE | Feature.MAX_PAGES
    (major, minor, read_ahead, features, _, _, write_bytes, *rest), told = greeted(7, 45, offered)

    assert (major, minor, read_ahead) == (7, protocol.MINOR, 131_072)
    assert features == Feature.ASYNC_READ | Feature.MAX_PAGES
    assert write_bytes == 1 << 20
    assert rest == [1, 256, 0, 0]
    assert told == ["greeted"]


def test_a_kernel_of_another_age_is_spoken_to_as_it_understands() -> None:
    """A newer major number is answered with ours, and says hello again; an older minor is its."""
    (major, *_), told = greeted(8, 0, 0)
    assert (major, told) == (7, [])

    (_, minor, *_), told = greeted(7, 31, 0)
    assert (minor, told) == (31, ["greeted"])

    with pytest.raises(Refused):
        greeted(7, 30, 0)
