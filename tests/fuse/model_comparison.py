"""The mount and a real directory take the same steps; all that a program can see is compared."""

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.fuse.model import IS_ROOT, Call, Folder, Kind, Step, below, call_of
from tests.fuse.model_reference import Follower
from tests.simulation.reference.facts import DIRECTORY, FILE, SYMLINK

ACL_NAME: Final = "system.posix_acl_access"

Facts = dict[str, object]
Statuses = dict[str, os.stat_result]

RECENT_NS: Final = range(1_600_000_000 * 10**9, 4_000_000_000 * 10**9)
"""Times that nobody sets by hand here."""

ALL_TIME: Final = "@4102444800"
"""The view of an instant that lies ahead shows the present."""

MOUNT_OPTIONS: Final = ("allow_other", "dev", "suid") if IS_ROOT else ()
"""As disks are mounted; root mounts a store nodev and nosuid unless told."""

PATH_MAX: Final = 4096
WORDS_MAX: Final = 300
TIMES_PROBED: Final = 20

KINDS: Final = {FILE: stat.S_IFREG, DIRECTORY: stat.S_IFDIR, SYMLINK: stat.S_IFLNK}


class Difference(AssertionError):
    """The mount is not as the disk or the reference says."""


class Side:
    """One of the two directories, and what is seen there."""

    def __init__(self, top: Path, *, is_store: bool) -> None:
        self.folder = Folder(top, is_store=is_store)
        self.statuses: Statuses = {}
        self._before: Statuses = {}

    def look(self) -> None:
        """The attributes of everything below are known."""
        with self.folder.inside():
            self.statuses = {".": os.lstat(".")}
            self._walk(".")

    def _walk(self, directory: str) -> None:
        with suppress(OSError), os.scandir(directory) as entries:  # it may be too deep
            names = sorted(entry.name for entry in entries)
            for name in names:
                path = below(directory, name)
                with suppress(OSError):
                    self.statuses[path] = os.lstat(path)
                    if stat.S_ISDIR(self.statuses[path].st_mode):
                        self._walk(path)

    def modes(self) -> dict[str, int]:
        """Of all paths."""
        return {path: status.st_mode for path, status in self.statuses.items()}

    def moved(self) -> dict[str, tuple[bool, bool]]:
        """Of what was there when last asked: whether mtime and ctime are others now."""
        before = self._before
        self._before = self.statuses
        return {
            path: (
                before[path].st_mtime_ns != status.st_mtime_ns,
                before[path].st_ctime_ns != status.st_ctime_ns,
            )
            for path, status in self.statuses.items()
            if path in before and before[path].st_ino == status.st_ino
            if not stat.S_ISFIFO(status.st_mode)
        }

    def attributes(self) -> dict[str, Facts]:
        """What stat(2) tells of all paths, and which are the same file."""
        first: dict[int, str] = {}
        return {
            path: _attributes(status) | {"same as": first.setdefault(status.st_ino, path)}
            for path, status in self.statuses.items()
        }

    def insides(self, paths: Iterable[str]) -> dict[str, Facts]:
        """Bytes, targets and extended attributes of these paths."""
        with self.folder.inside():
            return {path: _inside(path, self.statuses[path].st_mode) for path in paths}

    def opened(self) -> dict[int, Facts]:
        """What descriptors tell."""
        return {number: _opened(file) for number, file in self.folder.handles.items()}


def _attributes(status: os.stat_result) -> Facts:
    """What must be the same: the kernel does not tell FUSE when it writes to a FIFO."""
    mode = status.st_mode
    mtime: object = "recent" if status.st_mtime_ns in RECENT_NS else status.st_mtime_ns
    return {
        "mode": stat.filemode(mode),
        "links": status.st_nlink,
        "owner": (status.st_uid, status.st_gid),
        "size": None if stat.S_ISDIR(mode) else status.st_size,
        "device": status.st_rdev,
        "mtime": None if stat.S_ISFIFO(mode) else mtime,
    }


def _inside(path: str, mode: int) -> Facts:
    content: object = None
    if stat.S_ISREG(mode):
        content = Path(path).read_bytes()
    elif stat.S_ISLNK(mode):
        content = os.readlink(path)
    names = sorted(os.listxattr(path, follow_symlinks=False))
    xattrs = {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
    return {"content": content, "attributes": xattrs}


def _opened(descriptor: int) -> Facts:
    status = os.fstat(descriptor)
    facts = _attributes(status)
    if stat.S_ISREG(status.st_mode):
        facts["position"] = os.lseek(descriptor, 0, os.SEEK_CUR)
        if not status.st_nlink:
            facts["content"] = Path(f"/proc/self/fd/{descriptor}").read_bytes()
    return facts


class Sides:
    """The mount, the disk, and the reference as far as it can follow."""

    def __init__(self, mounted: Path, real: Path, *, compares_times: bool) -> None:
        self.mounted = Side(mounted, is_store=True)
        self.real = Side(real, is_store=False)
        self.follower = Follower(self.real.folder)
        self._compares_times = compares_times
        self.calls: list[Call] = []

    def run(self, steps: Iterable[Step]) -> None:
        """All steps, each to the same effect. Raises Difference."""
        self.compare(())
        for step in steps:
            self.step(step)
        self.close_all()
        self.compare(self.real.statuses)
        self.compare_view_of_now()
        self.compare_histories()

    def step(self, step: Step) -> None:
        """One of them."""
        handles = sorted(self.real.folder.handles)
        call = call_of(step, len(self.calls) + 1, self.real.modes(), handles)
        if call is None:
            return
        self.calls.append(call)
        closed = os.fstat(self.real.folder.handles[call.handle]).st_ino if handles else 0
        expected = self.follower.follow(call, lambda: self.real.folder.do(call))
        found = self.mounted.folder.do(call)
        _check("result", {call.kind: found}, {call.kind: expected})
        self.compare({call.path, call.other, call.place})
        if call.kind is Kind.CLOSE:
            self.compare_latest(closed)

    def compare(self, paths: Iterable[str]) -> None:
        """All attributes; the insides of these paths and of whatever has changed."""
        before = self.real.statuses
        self.mounted.look()
        self.real.look()
        now = self.real.statuses
        _check("attributes", self.mounted.attributes(), self.real.attributes())
        changed = {path for path in now if _signature(now[path]) != _signature(before.get(path))}
        changed |= now.keys() & set(paths)
        expected = self.real.insides(changed)
        _check("insides", self.mounted.insides(changed), expected)
        _check("opened", self.mounted.opened(), self.real.opened())
        moved, expected_moved = self.mounted.moved(), self.real.moved()
        is_acl = bool(self.calls) and self.calls[-1].kind is Kind.SET_ACL  # disks differ
        if self._compares_times and not is_acl:
            same = moved.keys() & expected_moved.keys()  # a disk may use a number again
            _check("times", {p: moved[p] for p in same}, {p: expected_moved[p] for p in same})
        self._compare_reference(expected)

    def _compare_reference(self, insides: dict[str, Facts]) -> None:
        if self.follower.is_lost:
            return
        expected, found = {}, {}
        for path, (kind, links, content) in self.follower.shown().items():
            expected[path] = (KINDS[kind], links, content if path in insides else None)
        for path, status in self.real.statuses.items():
            if path != ".":
                links = 0 if stat.S_ISDIR(status.st_mode) else status.st_nlink
                content = insides.get(path, {}).get("content")
                found[path] = (stat.S_IFMT(status.st_mode), links, content)
        _check("disk and reference", found, expected)

    def close_all(self) -> None:
        """Every descriptor, in order."""
        while self.real.folder.handles:
            self.step(Step(Kind.CLOSE))

    def compare_latest(self, ino: int) -> None:
        """The newest version of the file is the file, once nobody has it open."""
        if any(os.fstat(file).st_ino == ino for file in self.real.folder.handles.values()):
            return
        paths = [p for p, s in self.real.statuses.items() if s.st_ino == ino and _is_file(s)]
        for path in paths[:1]:
            expected = self.real.insides([path])[path]["content"]
            with self.mounted.folder.inside():
                found = Path(_history(path), "latest").read_bytes()
            _check("latest version", {path: found}, {path: expected})

    def compare_view_of_now(self) -> None:
        """The view of an instant that lies ahead shows the present, without what caches know."""
        expected: dict[str, dict[str, object]] = {}
        found: dict[str, dict[str, object]] = {}
        attributes, insides = self.real.attributes(), self.real.insides(self.real.statuses)
        for path, status in self.real.statuses.items():
            shown = f".versions/{ALL_TIME}/{path}"
            if len(os.fsencode(shown)) >= PATH_MAX:
                continue
            mode = stat.filemode(status.st_mode & ~0o222)
            expected[path] = attributes[path] | insides[path] | {"mode": mode}
            with self.mounted.folder.inside():
                seen = os.lstat(shown)
                found[path] = _attributes(seen) | _inside(shown, seen.st_mode)
            for name in ("links", "same as"):  # the inodes of views are their own
                expected[path].pop(name)
                found[path].pop(name, None)
            if not status.st_mode & 0o050:  # an ACL that grants nothing is left out
                for side in (expected, found):
                    side[path]["attributes"] = _without_acl(side[path]["attributes"])
        _check("view of now", found, expected)

    def compare_histories(self) -> None:
        """What each file is known to have held is in its history; nothing else, if it is alone."""
        if self.follower.is_lost:
            return
        for path, (expected, is_alone) in self.follower.histories().items():
            with self.mounted.folder.inside():
                found = _versions(_history(path))
            if is_alone:
                _check("versions", {path: found}, {path: expected})
            else:
                rest = iter(found)
                if not all(content in rest for content in expected):
                    raise Difference(f"versions of {path!r}: {found!r} lacks some of {expected!r}")

    def end(self) -> None:
        """Nothing is open any more."""
        self.mounted.folder.end()
        self.real.folder.end()


def _without_acl(attributes: Mapping[str, object] | object) -> object:
    """The extended attributes but for that one, if they could be read."""
    if not isinstance(attributes, Mapping):
        return attributes
    return {name: value for name, value in attributes.items() if name != ACL_NAME}


def _check(what: str, found: Mapping[Any, object], expected: Mapping[Any, object]) -> None:
    if found == expected:
        return
    lines = [
        f"  {key!r}: {_brief(found.get(key))}, not {_brief(expected.get(key))}"
        for key in [*expected, *(key for key in found if key not in expected)]
        if found.get(key) != expected.get(key)
    ]
    raise Difference("\n".join([f"{what}:", *lines]))


def _brief(value: object) -> str:
    words = repr(value)
    return words if len(words) < WORDS_MAX else f"{words[:WORDS_MAX]}… ({len(words)} characters)"


def _signature(status: os.stat_result | None) -> object:
    """Changes whenever the file does."""
    if status is None:
        return None
    return (status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size)


def _is_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode)


def _history(path: str) -> str:
    """Where the versions of the file are listed."""
    above, _, name = path.rpartition("/")
    return f"{above or '.'}/.versions/{'@' if name.startswith('@') else ''}{name}"


def _versions(listing: str) -> list[bytes]:
    """Contents, oldest first."""
    with os.scandir(listing) as entries:
        newest_first = [
            Path(entry.path)
            for entry in entries
            if "~" in entry.name and entry.is_file(follow_symlinks=False)
        ]
    return [path.read_bytes() for path in reversed(newest_first)]


def has_fine_times(folder: Path) -> bool:
    """Whether the kernel gives every change its own time there, once somebody has looked."""
    times = set()
    for _ in range(TIMES_PROBED):
        folder.chmod(0o755)
        times.add(folder.stat().st_ctime_ns)
    return len(times) == TIMES_PROBED


class Grounds:
    """Where sequences are tried: each gets a new directory on the mount and one on the disk."""

    def __init__(self, mounted: Path, real: Path, *, remount: Callable[[], object]) -> None:
        self._tops = (mounted, real)
        self._remount = remount
        self._count = 0
        self._passed: list[Path] = []
        self._compares_times = has_fine_times(real)
        self._failing: list[Step] = []
        self._difference = Difference("none")

    def attempt(self, steps: Sequence[Step]) -> list[Call]:
        """The calls that the steps came to, all to the same effect. Raises Difference."""
        self._count += 1
        mounted, real = (top / str(self._count) for top in self._tops)
        for top in (mounted, real):
            top.mkdir()
            top.chmod(0o777)
        sides = Sides(mounted, real, compares_times=self._compares_times)
        try:
            sides.run(steps)
        except AssertionError as difference:
            self._failing = list(steps)
            calls = "\n".join([f"  {call}" for call in sides.calls])
            self._difference = Difference(f"{difference}\nafter:\n{calls}")
            raise self._difference from None
        finally:
            sides.end()
        self._passed.append(mounted)
        return sides.calls

    def shortest(self) -> Difference:
        """The last difference, after none but steps without which there is none."""
        place = 0
        while place < len(self._failing):
            before = self._failing
            with suppress(Difference):
                self.attempt(before[:place] + before[place + 1 :])
            if self._failing is before:
                place += 1
        return self._difference

    def compare_after_remount(self) -> None:
        """What was passed is still so when the mount is made again; then the disk is let go of."""
        self._remount()
        for mounted in self._passed:
            real = self._tops[1] / mounted.name
            sides = Sides(mounted, real, compares_times=False)
            sides.follower.is_lost = True  # it was not there
            try:
                sides.compare(())
            finally:
                sides.end()
            shutil.rmtree(real)
        self._passed.clear()
