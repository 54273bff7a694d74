"""Changing the key ring, and bringing data keys under the newest version of what wraps them.

A changed ring is durable before anything is wrapped by it: a copy is changed and written, and the
ring that wraps becomes it afterwards. Its generation is among the facts, so an earlier ring that
somebody puts back is noticed when the store is opened.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Final, Literal, TypeVar

import msgspec
import trio
from msgspec import Struct

from s3fs_local.crypto.key_ring import KeyRing
from s3fs_local.crypto.slot_secrets import Secret, kind_of
from s3fs_local.crypto.wrapped_keys import (
    Binding,
    BucketForm,
    Form,
    RingForm,
    ServiceForm,
    TwoForm,
    form_of,
    ino_of,
    service_form,
    two_form,
    with_ino,
)
from s3fs_local.engine.durability import RunBlocking, run_in_thread
from s3fs_local.engine.key_access import KeyAccess
from s3fs_local.engine.locks import Locks
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import InvalidArgument, KeyDisabled, KeyMissing, StoreDamaged
from s3fs_local.metadata.changes import PutKey, PutSetting
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.retention import Operation

GENERATION_SETTING: Final = "fact.key-ring"
BATCH: Final = 256
_KEY_FILE: Final = "key-file"

SaveRing = Callable[[bytes], None]
"""The key ring file is this, durably, wherever it is kept. Blocks."""
Opener = Literal["passphrase", "keyring"]
"""Where the next process looks for what opens the ring: it is typed, or the desktop has it."""
NameOpener = Callable[[Opener], Awaitable[None]]
"""The store says so, durably, and names no key file any more."""
OnProgress = Callable[[int, int], Awaitable[None]]
"""Told (done, total); gives other tasks a turn."""
_Result = TypeVar("_Result")


class Rewrapped(Struct):
    """What a rewrap did."""

    rewrapped: int = 0
    already_new: int = 0
    left: int = 0  # wrapped by a key that is disabled
    destroyed: tuple[tuple[str, int], ...] = ()  # versions that nothing needs any more


class Wrapping(Struct, frozen=True):
    """By what a data key is wrapped."""

    source: str  # "ring" or "kms"
    name: str
    version: int = 0


def note_generation(metadata: Metadata, ring: KeyRing) -> list[PutSetting]:
    """The ring is not older than the facts know; the changes that note a newer one.

    Raises:
        StoreDamaged: an earlier ring was put back.
    """
    noted = int(metadata.setting(GENERATION_SETTING) or 0)
    if ring.generation < noted:
        raise StoreDamaged(
            f"the key ring is an earlier one (generation {ring.generation}, the store knows"
            f" {noted}): put the latest key-ring.json back, of the store or of a zone"
        )
    return [_noted(ring)] if ring.generation > max(noted, 1) else []


def _noted(ring: KeyRing) -> PutSetting:
    return PutSetting(GENERATION_SETTING, msgspec.json.encode(ring.generation).decode())


class KeyAdministration:
    """Changes keys, one change at a time."""

    def __init__(self, volume: Volume, locks: Locks, key_access: KeyAccess) -> None:
        self._volume = volume
        self._key_access = key_access
        self._locks = locks
        self._mutex = trio.Lock()
        self.save: SaveRing = lambda _: None
        self.name_opener: NameOpener = _name_nobody
        self.run_blocking: RunBlocking = run_in_thread

    @property
    def ring(self) -> KeyRing:
        """The ring, to look at."""
        return self._volume.keys.ring

    async def change(self, change: Callable[[KeyRing], _Result]) -> _Result:
        """The ring is changed, durably, or (on an error) what it was. `change` runs in a thread."""
        async with self._mutex:
            return await self._change(change)

    async def _change(self, change: Callable[[KeyRing], _Result]) -> _Result:
        """See `change`; the caller holds the mutex."""
        self._volume.check_writable()
        changed = self.ring.copy()
        try:
            with trio.CancelScope(shield=True):
                written = partial(self._written, changed, change)
                result: _Result = await self.run_blocking(written)
        except BaseException:
            self.ring.generation = changed.generation  # may lie on some disk: not used again
            raise
        self._key_access.open_written()  # of files that were opened until now
        self.ring.become(changed)
        self._volume.keys.ring_changed()
        # What is open now may be closed to the next reader, so derived keys go too.
        self._volume.blocks.forget_all()
        self._volume.apply([_noted(self.ring)])
        return result

    def _written(self, ring: KeyRing, change: Callable[[KeyRing], _Result]) -> _Result:
        result = change(ring)
        self.save(ring.serialize())
        return result

    async def let_open(
        self, secret: Secret, *, beside: bool, opener: Opener | None, alone: bool
    ) -> None:
        """The secret opens the ring, and unless it is put `beside` them no other of its kind does.

        With `opener` the store names that instead of a key file; with `alone` no key file opens the
        ring. Whatever ends this half way, what the store names opens it: the new secret does before
        it is named, and the old one until then.
        """
        kind = kind_of(secret)

        def drop_others(ring: KeyRing) -> None:
            ring.keep_newest_slot(kind)
            if alone and _KEY_FILE in ring.slot_kinds():
                ring.remove_slots(_KEY_FILE)

        def add(ring: KeyRing) -> None:
            ring.add_slot(secret)
            if not beside and opener is None:
                drop_others(ring)

        async with self._mutex:
            await self._change(add)
            if opener is not None:
                await self.name_opener(opener)
                await self._change(drop_others)

    async def count(self, on_progress: OnProgress) -> Counter[Wrapping]:
        """How many data keys are wrapped by what."""
        counts: Counter[Wrapping] = Counter()

        def add(_: int, wrapped: bytes) -> None:
            counts.update(set(_wrappings(form_of(wrapped))))

        await _visit(self._volume.metadata, add, on_progress)
        return counts

    async def rewrap(
        self, name: str | None, *, forget_old: bool, dry_run: bool, on_progress: OnProgress
    ) -> Rewrapped:
        """Each data key is wrapped by the newest version of its ring key; no data is touched.

        May be stopped at any moment, and goes on where it was. With `forget_old` the earlier
        versions are destroyed after it: copies of the wrapped keys in old copies of a zone stay
        closed for ever then, those of purged files, too.

        Raises:
            KeyMissing: there is no such key.
            Protected, InvalidArgument: a data key still needs an old version; none was destroyed.
        """
        if name is not None:
            self.ring.states(name)
        done = Rewrapped()

        def rewrap_one(key_id: int, wrapped: bytes) -> None:
            self._rewrap_one(key_id, wrapped, name, done, dry_run=dry_run)

        await _visit(self._volume.metadata, rewrap_one, on_progress)
        await self._volume.durability.flush(durable=True)
        if forget_old:
            old = {key: self._old_versions(key) for key in ([name] if name else self.ring.names())}
            if not dry_run:
                async with self._mutex:  # no version is disabled between the look and the deed
                    self._check_newest_wraps(old)
                    await self._check_unneeded(old, on_progress)
                    await self._change(lambda ring: _destroy(ring, old))
            done.destroyed = tuple((key, number) for key in old for number in old[key])
        return done

    def _rewrap_one(
        self, key_id: int, wrapped: bytes, name: str | None, done: Rewrapped, *, dry_run: bool
    ) -> None:
        try:
            new = self._rewrapped(key_id, wrapped, name)
        except (KeyDisabled, KeyMissing):
            done.left += 1
            return
        if new is None:
            done.already_new += 1
            return
        if not dry_run:
            self._volume.apply([PutKey(key_id, new)])
        done.rewrapped += 1

    def _rewrapped(self, key_id: int, wrapped: bytes, name: str | None) -> bytes | None:
        """The new form; None where the present one is the newest there is."""
        binding = self._volume.keys.binding(ino_of(wrapped), key_id)
        form = form_of(wrapped)
        if not isinstance(form, TwoForm):
            new = self._new_form(form, binding, name)
            return None if new is None else with_ino(binding.ino, new)
        first = self._new_form(form.first, binding, name)
        second = self._new_form(form.second, binding, name)
        if first is None and second is None:
            return None
        both = two_form(first or _raw(form.first), second or form.second.raw)
        return with_ino(binding.ino, both)

    def _new_form(self, form: Form, binding: Binding, name: str | None) -> bytes | None:
        if not isinstance(form, RingForm) or name not in (None, form.name):
            return None
        if form.version == self.ring.newest(form.name):
            return None
        context = binding.encode()
        return self.ring.wrap(self.ring.unwrap(form, context), context, form.name)

    def _old_versions(self, name: str) -> list[int]:
        return sorted(self.ring.states(name))[:-1]

    def _check_newest_wraps(self, names: Collection[str]) -> None:
        for name in names:
            if self.ring.newest(name) != max(self.ring.states(name)):
                raise InvalidArgument(
                    f"the newest version of the key {name!r} is disabled, so an older one wraps:"
                    " enable it and rewrap first"
                )

    async def _check_unneeded(self, old: dict[str, list[int]], on_progress: OnProgress) -> None:
        # First: what becomes a fact meanwhile was refused here, or is wrapped by the newest.
        for wrapped in self._volume.arriving_keys.values():
            for wrapping in _by_old(wrapped, old):
                raise InvalidArgument(
                    f"what arrives from another region is wrapped by version {wrapping.version} of"
                    f" {wrapping.name!r}: try again when it is here"
                )

        def check(key_id: int, wrapped: bytes) -> None:
            for wrapping in _by_old(wrapped, old):
                self._refuse(key_id, ino_of(wrapped), wrapping)

        await _visit(self._volume.metadata, check, on_progress)

    def _refuse(self, key_id: int, ino: int, wrapping: Wrapping) -> None:
        for version in self._volume.metadata.versions(ino):
            if key_id in version.key_ids:
                self._locks.check_version(Operation.DESTROY_KEY, version)
        raise InvalidArgument(
            f"a data key is still wrapped by version {wrapping.version} of {wrapping.name!r}"
            " (disabled?): enable it and rewrap first"
        )


def _destroy(ring: KeyRing, old: dict[str, list[int]]) -> None:
    for name, versions in old.items():
        ring.destroy_versions(name, versions)


def _by_old(wrapped: bytes, old: dict[str, list[int]]) -> list[Wrapping]:
    """What wraps it of these versions of the ring's keys."""
    return [
        wrapping
        for wrapping in _wrappings(form_of(wrapped))
        if wrapping.source == "ring" and wrapping.version in old.get(wrapping.name, ())
    ]


async def _name_nobody(_: Opener) -> None:
    """For a store that has no description."""


def _raw(form: RingForm | ServiceForm) -> bytes:
    return form.raw if isinstance(form, RingForm) else service_form(form.key, form.blob)


def _wrappings(form: Form) -> list[Wrapping]:
    match form:
        case RingForm():
            return [Wrapping("ring", form.name, form.version)]
        case ServiceForm():
            return [Wrapping("kms", form.key)]
        case BucketForm():
            return []  # its bucket key counts, once for all its files
        case TwoForm():
            return [*_wrappings(form.first), *_wrappings(form.second)]


async def _visit(
    metadata: Metadata, visit: Callable[[int, bytes], None], on_progress: OnProgress
) -> None:
    """`visit` was called with every data key and its wrapped form; others had a turn meanwhile."""
    highest = metadata.counters().key_id
    after = 0
    while batch := metadata.keys(after, BATCH):
        for key_id, wrapped in batch:
            visit(key_id, wrapped)
        after = batch[-1][0]
        await on_progress(after, max(after, highest))
