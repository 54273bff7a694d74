"""The store's keys, in one file that any of several secrets opens.

As in LUKS, a random master key is sealed once per slot, each under what one secret makes; the
master key seals the body, which holds the keys. So a secret is added without touching the rest.

The body holds named keys in numbered versions, which wrap data keys, and a root key, from which
keys for single purposes (journal, checkpoints) are derived. Each change of the ring counts its
generation up; the body is bound to it, so an earlier ring cannot be passed off as the present one.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Final, Self

import msgspec
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from s3fs_local.crypto.sealing import KEY_BYTES
from s3fs_local.crypto.slot_secrets import (
    KeyFile,
    Passphrase,
    PassphraseCost,
    RecoveryKey,
    Secret,
    SecretKind,
    kind_of,
)
from s3fs_local.crypto.wrapped_keys import RING, TAG_BYTES, RingForm
from s3fs_local.errors import (
    DataDamaged,
    FormatTooNew,
    InvalidArgument,
    KeyDisabled,
    KeyMissing,
    StoreDamaged,
    WrongKey,
)
from s3fs_local.system.randomness import Randomness, SystemRandomness

FORMAT: Final = 1
STORE_KEY: Final = "store"

_SALT_BYTES: Final = 16
_NONCE: Final = bytes(12)  # every seal here has its own key, made from a fresh salt
_NAME_BYTES_MAX: Final = 255

_SLOT_CONTEXT: Final = b"s3fs_local key ring slot 1"
_BODY_CONTEXT: Final = b"s3fs_local key ring body 1"
_WRAP_CONTEXT: Final = b"s3fs_local wrapped key 1"
_PURPOSE_CONTEXT: Final = b"s3fs_local purpose 1 "


class KeyState(StrEnum):
    """What a version of a key may do."""

    ENABLED = "enabled"
    DISABLED = "disabled"  # neither wraps nor unwraps until it is enabled again


class _Slot(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The master key, sealed under what one secret and the salt make."""

    kind: SecretKind
    salt: bytes
    sealed: bytes
    cost: PassphraseCost | None = None


class _Content(Struct, frozen=True, forbid_unknown_fields=True):
    """The key ring file, save its digest."""

    format: int
    store: str  # the id of the store that it is of
    generation: int
    slots: list[_Slot]
    salt: bytes
    body: bytes


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    """The key ring file. The digest tells damage from a wrong secret."""

    ring: _Content
    digest: str


class _FormatOnly(Struct, frozen=True):
    format: int


class _FileFormat(Struct, frozen=True):
    """As much of the file as every release understands."""

    ring: _FormatOnly


class _Version(Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    key: bytes
    state: KeyState = KeyState.ENABLED

    def __repr__(self) -> str:
        return f"_Version({self.version}, {self.state})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("version", self.version)]


class _Body(Struct, frozen=True, forbid_unknown_fields=True):
    """What the master key seals."""

    root: bytes
    keys: dict[str, list[_Version]]  # versions ascending

    def __repr__(self) -> str:
        return "_Body(…)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return []


class KeyRing:
    """The opened key ring of one store. Changes are in memory until `serialize` is written."""

    def __init__(
        self,
        *,
        store: str,
        generation: int,
        master: bytes,
        slots: list[_Slot],
        body: _Body,
        randomness: Randomness,
    ) -> None:
        """Use `create` or `open`."""
        self._store = store
        self.generation = generation  # of the file that was read, or written last
        self._master = master
        self._slots = slots
        self._body = body
        self._randomness = randomness

    @classmethod
    def create(
        cls,
        secret: Secret,
        *,
        store: str = "",
        randomness: Randomness | None = None,
        cost: PassphraseCost | None = None,
    ) -> Self:
        """A new ring with the key `store`, and one slot.

        Args:
            secret: opens the slot.
            store: the id of the store that it is of, hexadecimal.
            randomness: where keys come from.
            cost: for a passphrase.
        """
        source = randomness or SystemRandomness()
        ring = cls(
            store=store,
            generation=0,
            master=source.bytes(KEY_BYTES),
            slots=[],
            body=_Body(root=source.bytes(KEY_BYTES), keys={}),
            randomness=source,
        )
        ring.add_version(STORE_KEY)
        ring.add_slot(secret, cost=cost)
        return ring

    @classmethod
    def open(cls, data: bytes, secret: Secret, *, randomness: Randomness | None = None) -> Self:
        """The ring that `serialize` wrote.

        Raises:
            WrongKey: the secret opens none of the slots.
            StoreDamaged: the file is damaged.
            FormatTooNew: a newer release wrote it.
        """
        content = _parse(data)
        master = _open_any_slot(content.slots, secret)
        cipher = _cipher(master, content.salt, _BODY_CONTEXT)
        body = _unseal(cipher, content.body, aad=_body_aad(content.store, content.generation))
        if body is None:
            raise StoreDamaged("the key ring's body does not open with its own master key")
        return cls(
            store=content.store,
            generation=content.generation,
            master=master,
            slots=content.slots,
            body=msgspec.json.decode(body, type=_Body),
            randomness=randomness or SystemRandomness(),
        )

    def serialize(self) -> bytes:
        """The file, JSON, as the next generation. Everything secret in it is sealed."""
        self.generation += 1
        salt = self._randomness.bytes(_SALT_BYTES)
        body = msgspec.json.encode(self._body)
        content = _Content(
            format=FORMAT,
            store=self._store,
            generation=self.generation,
            slots=self._slots,
            salt=salt,
            body=_seal(
                _cipher(self._master, salt, _BODY_CONTEXT),
                body,
                aad=_body_aad(self._store, self.generation),
            ),
        )
        file = _File(ring=content, digest=_digest(content))
        return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"

    def add_slot(self, secret: Secret, *, cost: PassphraseCost | None = None) -> None:
        """The secret opens the ring, too.

        Raises:
            InvalidArgument: the cost is out of range.
        """
        salt = self._randomness.bytes(_SALT_BYTES)
        slot = _Slot(
            kind=kind_of(secret),
            salt=salt,
            sealed=b"",
            cost=(cost or PassphraseCost()) if isinstance(secret, Passphrase) else None,
        )
        if slot.cost is not None and not slot.cost.is_sane():
            raise InvalidArgument("the passphrase cost is out of range")
        sealed = _seal(_slot_cipher(slot, secret), self._master, aad=slot.kind.encode())
        self._slots = [*self._slots, msgspec.structs.replace(slot, sealed=sealed)]

    def keep_newest_slot(self, kind: str) -> None:
        """Of the secrets of that kind only the one that was added last opens the ring."""
        newest = [slot for slot in self._slots if slot.kind == kind][-1:]
        self._slots = [slot for slot in self._slots if slot.kind != kind] + newest

    def remove_slots(self, kind: str) -> None:
        """No secret of that kind opens the ring any more.

        Raises:
            InvalidArgument: nothing else would open it.
        """
        others = [slot for slot in self._slots if slot.kind != kind]
        if not others:
            raise InvalidArgument(f"nothing but a {kind} opens the key ring: add something first")
        self._slots = others

    def copy(self) -> Self:
        """Another with the same content: it may be changed and written while this one is used."""
        return type(self)(
            store=self._store,
            generation=self.generation,
            master=self._master,
            slots=self._slots,
            body=self._body,
            randomness=self._randomness,
        )

    def become(self, other: Self) -> None:
        """This ring is what the other, a copy of it that was written, is now."""
        self.generation, self._slots, self._body = other.generation, other._slots, other._body

    def slot_kinds(self) -> list[str]:
        """The kinds of the slots, oldest first."""
        return [slot.kind for slot in self._slots]

    def names(self) -> list[str]:
        """The names of all keys."""
        return sorted(self._body.keys)

    def states(self, name: str) -> dict[int, KeyState]:
        """The state of every version of a key.

        Raises:
            KeyMissing: no key has this name.
        """
        return {version.version: version.state for version in self._versions(name)}

    def add_version(self, name: str) -> int:
        """The key has one version more (or exists, with version 1), which wraps from now on.

        Raises:
            InvalidArgument: the name is empty or over 255 bytes.
        """
        if not 1 <= len(name.encode()) <= _NAME_BYTES_MAX:
            raise InvalidArgument("a key's name has 1 to 255 bytes")
        versions = self._body.keys.get(name, [])
        number = versions[-1].version + 1 if versions else 1
        added = _Version(version=number, key=self._randomness.bytes(KEY_BYTES))
        self._set_versions(name, [*versions, added])
        return number

    def set_state(self, name: str, version: int, state: KeyState) -> None:
        """The version of the key is in this state.

        Raises:
            KeyMissing: there is no such version.
        """
        changed = msgspec.structs.replace(self._version(name, version), state=state)
        others = self._versions(name)
        self._set_versions(
            name, [changed if other.version == version else other for other in others]
        )

    def destroy_versions(self, name: str, versions: Collection[int]) -> None:
        """These versions of the key are gone: what only they wrap is lost.

        Raises:
            InvalidArgument: the newest is among them.
        """
        present = self._versions(name)
        if present[-1].version in versions:
            raise InvalidArgument(f"the newest version of the key {name!r} is not destroyed")
        self._set_versions(name, [item for item in present if item.version not in versions])

    def check_wraps(self, name: str) -> None:
        """`wrap` would find a version of the key.

        Raises:
            KeyMissing: there is no such key.
            KeyDisabled: all its versions are.
        """
        self._newest(name)

    def newest(self, name: str) -> int:
        """The version that wraps. Raises as `check_wraps`."""
        return self._newest(name).version

    def _newest(self, name: str) -> _Version:
        for version in reversed(self._versions(name)):
            if version.state is KeyState.ENABLED:
                return version
        raise KeyDisabled(f"the key {name!r} is disabled")

    @property
    def is_whole(self) -> bool:
        """Whether every version of every key is enabled."""
        return all(
            item.state is KeyState.ENABLED for items in self._body.keys.values() for item in items
        )

    def wrap(self, data_key: bytes, context: bytes, name: str = STORE_KEY) -> bytes:
        """The data key, sealed under the newest enabled version of the named key.

        Args:
            data_key: what to seal.
            context: what it belongs to; `unwrap` needs the same.
            name: of the ring key; recorded, with its version, in the wrapped form.

        Raises:
            KeyMissing: there is no such key.
            KeyDisabled: every version of it is disabled.
        """
        newest = self._newest(name)
        encoded = name.encode()
        salt = self._randomness.bytes(_SALT_BYTES)
        header = b"".join(
            (
                bytes((RING, len(encoded))),
                encoded,
                newest.version.to_bytes(4, "big"),
                salt,
            )
        )
        cipher = _cipher(newest.key, salt, _WRAP_CONTEXT)
        return header + _seal(cipher, data_key, aad=header + context)

    def unwrap(self, form: RingForm, context: bytes) -> bytes:
        """The data key.

        Raises:
            KeyMissing: the ring key or its version is not there.
            KeyDisabled: it is disabled.
            DataDamaged: the bytes are damaged, or belong to another context or store.
        """
        version = self._version(form.name, form.version)
        if version.state is not KeyState.ENABLED:
            raise KeyDisabled(f"version {form.version} of the key {form.name!r} is disabled")
        end = len(form.raw) - KEY_BYTES - TAG_BYTES
        salt = form.raw[end - _SALT_BYTES : end]
        cipher = _cipher(version.key, salt, _WRAP_CONTEXT)
        data_key = _unseal(cipher, form.raw[end:], aad=form.raw[:end] + context)
        if data_key is None:
            raise DataDamaged("a wrapped data key does not open: damaged, or not of this place")
        return data_key

    def subkey(self, purpose: str) -> bytes:
        """32 bytes for this purpose alone; the same as long as the store exists."""
        return blake3(_PURPOSE_CONTEXT + purpose.encode(), key=self._body.root).digest()

    def __repr__(self) -> str:
        return f"KeyRing(slots={self.slot_kinds()}, keys={self.names()})"

    def _versions(self, name: str) -> list[_Version]:
        if name not in self._body.keys:
            raise KeyMissing(f"the key ring has no key {name!r}")
        return self._body.keys[name]

    def _version(self, name: str, number: int) -> _Version:
        for version in self._versions(name):
            if version.version == number:
                return version
        raise KeyMissing(f"the key ring has no version {number} of the key {name!r}")

    def _set_versions(self, name: str, versions: list[_Version]) -> None:
        keys = self._body.keys | {name: versions}
        self._body = msgspec.structs.replace(self._body, keys=keys)


def generation_of(data: bytes) -> int:
    """The generation that a key ring file says it is; only `KeyRing.open` proves it.

    Raises:
        StoreDamaged: the file is damaged.
        FormatTooNew: a newer release wrote it.
    """
    return _parse(data).generation


def store_of(data: bytes) -> str:
    """The id of the store that a key ring file says it is of; raises as `generation_of`."""
    return _parse(data).store


def slot_kinds_of(data: bytes) -> list[str]:
    """The kinds of the slots that a key ring file says it has; raises as `generation_of`."""
    return [slot.kind for slot in _parse(data).slots]


def _body_aad(store: str, generation: int) -> bytes:
    return generation.to_bytes(8, "big") + store.encode()


def _cipher(key: bytes, salt: bytes, context: bytes) -> AESGCM:
    return AESGCM(blake3(salt, key=key).update(context).digest())


def _seal(cipher: AESGCM, plain: bytes, *, aad: bytes) -> bytes:
    return cipher.encrypt(_NONCE, plain, aad)


def _unseal(cipher: AESGCM, sealed: bytes, *, aad: bytes) -> bytes | None:
    try:
        return cipher.decrypt(_NONCE, sealed, aad)
    except InvalidTag:
        return None


def _slot_cipher(slot: _Slot, secret: Secret) -> AESGCM:
    match secret:
        case KeyFile():
            key = secret.key
        case Passphrase():
            if slot.cost is None or not slot.cost.is_sane():
                raise StoreDamaged("a passphrase slot of the key ring has no usable cost")
            key = secret.slot_key(slot.salt, slot.cost)
        case RecoveryKey():
            key = blake3(secret.bits).digest()
    return _cipher(key, slot.salt, _SLOT_CONTEXT)


def _open_any_slot(slots: list[_Slot], secret: Secret) -> bytes:
    kind = kind_of(secret)
    for slot in slots:
        if slot.kind == kind:
            master = _unseal(_slot_cipher(slot, secret), slot.sealed, aad=kind.encode())
            if master is not None:
                return master
    kinds = ", ".join(sorted({slot.kind for slot in slots}))
    raise WrongKey(f"this {kind} does not open the key ring (it has slots for: {kinds})")


def _parse(data: bytes) -> _Content:
    try:
        version = msgspec.json.decode(data, type=_FileFormat).ring.format
        if version > FORMAT:
            raise FormatTooNew(f"the key ring has format {version}, this release knows {FORMAT}")
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreDamaged("the key ring is no key ring file, or damaged") from error
    if file.digest != _digest(file.ring):
        raise StoreDamaged("the key ring is damaged: its digest does not fit")
    return file.ring


def _digest(content: _Content) -> str:
    return blake3(msgspec.json.encode(content)).hexdigest()
