"""A random attacker with system calls, on a real mount: as root, and as the owner of the files."""

import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.mounting import MountedStore, s3fs_local
from tests.scenarios.test_worm_battery import ATTEMPTS, Battery, acting_as
from tests.scenarios.worm_attempts import Target, is_soon, rename2, state_of
from tests.simulation.attacker import Broken

JUDGED_EVERY = 20


class MountedAttacker:
    """Draws attempts of the battery, and system calls of its own, for one mount."""

    def __init__(self, battery: Battery, seed: int) -> None:
        self.random = random.Random(seed)
        self._battery = battery
        self._acts: list[Callable[[Target], object]] = [
            *[self.rename, self.exchange, self.link, self.unlink, self.rmdir, self.mkdir],
            *[self.open, self.truncate, self.chmod, self.set_times, self.set_attribute],
            self.write_by_old_handle,
        ]

    def step(self) -> tuple[str, bool]:
        """What was tried, and whether an error came of it."""
        state = self.random.choice(list(ATTEMPTS))
        name, act, _ = self.random.choice(ATTEMPTS[state])
        if self.random.random() < 0.5:
            act = self.random.choice(self._acts)
            name = act.__name__
        identity = self.random.choice(("root", "owner")) if os.geteuid() == 0 else "root"
        with acting_as(identity):
            try:
                act(self._battery.targets[state])
            except OSError:
                return name, True
        return name, False

    def judge(self) -> None:
        """Raises Broken if a file is not as it was."""
        for state, before in self._battery.states.items():
            file = self._battery.targets[state].file
            try:
                is_so = is_soon(before, partial(state_of, file))
            except OSError as error:
                raise Broken(f"{state}: {error}") from None
            if not is_so:
                raise Broken(f"{state}: {state_of(file)} instead of {before}")

    def _some(self, target: Target) -> Path:
        root = target.grandparent.parent
        places = (target.file, target.file, target.parent, target.grandparent, target.free)
        return self.random.choice((*places, target.outside, target.other_folder, root, target.link))

    def rename(self, target: Target) -> None:
        """Anything to anywhere."""
        os.rename(self._some(target), self._some(target))

    def exchange(self, target: Target) -> None:
        """Anything with anything."""
        rename2(self._some(target), self._some(target), self.random.choice((1, 2)))

    def link(self, target: Target) -> None:
        """Another name."""
        os.link(self._some(target), self._some(target))

    def unlink(self, target: Target) -> None:
        """A name goes."""
        os.unlink(self._some(target))

    def rmdir(self, target: Target) -> None:
        """A folder goes."""
        os.rmdir(self._some(target))

    def mkdir(self, target: Target) -> None:
        """A folder comes."""
        os.mkdir(self._some(target))

    def open(self, target: Target) -> None:
        """With any flags that could change something."""
        flags = self.random.choice((os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC))
        flags |= self.random.choice((0, os.O_TRUNC, os.O_CREAT, os.O_DIRECT))
        path = self._some(target)
        if path == target.file or not path.exists():
            descriptor = os.open(target.file, flags | os.O_TRUNC)
            os.close(descriptor)

    def truncate(self, target: Target) -> None:
        """To any size."""
        os.truncate(target.file, self.random.choice((0, 1, 22, 23, 1 << 40)))

    def chmod(self, target: Target) -> None:
        """Any mode that is not the one it has."""
        os.chmod(target.file, self.random.choice((0, 0o600, 0o4711)))

    def set_times(self, target: Target) -> None:
        """Into the past."""
        os.utime(target.file, ns=(self.random.randrange(1 << 60), self.random.randrange(1 << 60)))

    def set_attribute(self, target: Target) -> None:
        """Of any name, with any value that makes no lock longer."""
        names = ("user.a", "user.kept", "trusted.a", "s3.object-lock", "s3.tags", "s3.etag")
        value = self.random.choice((b"", b"OFF", b"GOVERNANCE 1m", b"0", self.random.randbytes(9)))
        if target is not self._battery.targets["legal hold"]:
            os.setxattr(target.file, self.random.choice(names), value)

    def write_by_old_handle(self, target: Target) -> None:
        """From before the lock, at any place."""
        data = self.random.randbytes(self.random.randint(1, 5000))
        handle = getattr(target, "writing", target.reading)  # some states allow no writer
        os.pwrite(handle, data, self.random.randrange(100))


def attack_mount(steps: int, seed: int, base: Path) -> tuple[Counter[str], Counter[str]]:
    """What was tried, and how often an error came of it. Raises Broken if a lock did not hold."""
    base.chmod(0o711)
    path = base / "mount"
    path.mkdir()
    s3fs_local("init", base / "store", "--object-lock")
    options = ("allow_other",) if os.geteuid() == 0 else ()
    mounted = MountedStore(base / "store", path, options)
    tried: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    with ExitStack() as stack:
        stack.callback(mounted.clean_up)
        mounted.mount()
        attacker = MountedAttacker(Battery(mounted, base / "scratch", stack), seed)
        for number in range(steps):
            try:
                name, was_refused = attacker.step()
                if not number % JUDGED_EVERY or number == steps - 1:
                    attacker.judge()
            except Broken as broken:
                raise Broken(f"seed {seed}, step {number}: {broken}") from None
            tried[name] += 1
            refused[name] += was_refused
    return tried, refused
