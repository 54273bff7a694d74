"""Commands on the keys of a store, and on what opens their ring."""

from collections import Counter
from functools import partial

from s3fs_local import errors
from s3fs_local.control.context import Context
from s3fs_local.control.requests import (
    AddKey,
    ChangeSecret,
    ListKeys,
    RewrapKeys,
    RotateKey,
    SetKeyState,
)
from s3fs_local.control.results.keys import KeyChange, KeyListing, KeyRow, KeyVersionRow, Rewrapping
from s3fs_local.control.results.store import Done
from s3fs_local.crypto.key_ring import STORE_KEY, KeyRing, KeyState
from s3fs_local.crypto.slot_secrets import KeyFile, Passphrase, RecoveryKey, Secret
from s3fs_local.engine.key_administration import KeyAdministration, Wrapping
from s3fs_local.rules.encryption import Algorithm


async def list_keys(_: ListKeys, context: Context) -> KeyListing:
    """Every key of the ring, and those of a KMS that wrap something."""
    context.check_may_administer()
    administration = context.filesystem.key_administration
    counts = await administration.count(partial(_progress, context))
    ring = administration.ring
    present = _wraps_now(context)
    rows = [_ring_row(ring, name, counts, present) for name in ring.names()]
    served = {wrapping.name for wrapping in counts if wrapping.source == "kms"}
    if present.source == "kms":
        served.add(present.name)
    for name in sorted(served):
        wrapping = Wrapping("kms", name)
        rows.append(
            KeyRow(
                name=name, source="kms", wraps_new=wrapping == present, data_keys=counts[wrapping]
            )
        )
    return KeyListing(opened_by=ring.slot_kinds(), generation=ring.generation, keys=rows)


def _wraps_now(context: Context) -> Wrapping:
    settings = context.filesystem.volume.settings
    encryption = settings.encryption
    if encryption.algorithm is Algorithm.AES256:
        return Wrapping("ring", STORE_KEY)
    if not settings.kms:
        return Wrapping("ring", encryption.key_name)
    return Wrapping("kms", encryption.key or f"alias/{encryption.key_name}")


def _ring_row(ring: KeyRing, name: str, counts: Counter[Wrapping], present: Wrapping) -> KeyRow:
    versions = [
        KeyVersionRow(
            version=number, state=state.value, data_keys=counts[Wrapping("ring", name, number)]
        )
        for number, state in ring.states(name).items()
    ]
    return KeyRow(
        name=name,
        source="ring",
        wraps_new=present == Wrapping("ring", name),
        data_keys=sum(version.data_keys for version in versions),
        versions=versions,
    )


def _check_there(ring: KeyRing, name: str, version: int | None = None) -> None:
    """The key that a person named, or that version of it, is in the ring.

    Raises:
        NoSuchKey: it is not.
    """
    if name not in ring.names():
        raise errors.NoSuchKey(f"there is no key {name!r}; there are: {', '.join(ring.names())}")
    if version is not None and version not in ring.states(name):
        raise errors.NoSuchKey(f"the key {name!r} has no version {version}")


async def add_key(request: AddKey, context: Context) -> KeyChange:
    """The ring has the key, in its first version."""
    administration = _administration(context)
    if request.name in administration.ring.names():
        raise errors.NameTaken(f"the key {request.name!r} is there already: rotate it instead")
    number = await administration.change(lambda ring: ring.add_version(request.name))
    return KeyChange(name=request.name, version=number, state=KeyState.ENABLED.value)


async def rotate_key(request: RotateKey, context: Context) -> KeyChange:
    """The key has a new version, which wraps from now on."""
    administration = _administration(context)
    _check_there(administration.ring, request.name)
    number = await administration.change(lambda ring: ring.add_version(request.name))
    return KeyChange(name=request.name, version=number, state=KeyState.ENABLED.value)


async def set_key_state(request: SetKeyState, context: Context) -> KeyListing:
    """One version of the key, or all of them, are in that state; what they wrap is told."""
    administration = _administration(context)
    state = KeyState.ENABLED if request.enabled else KeyState.DISABLED
    _check_there(administration.ring, request.name, request.version)
    if request.dry_run:
        return await list_keys(ListKeys(), context)
    numbers = list(administration.ring.states(request.name))
    if request.version is not None:
        numbers = [request.version]

    def change(ring: KeyRing) -> None:
        for number in numbers:
            ring.set_state(request.name, number, state)

    await administration.change(change)
    filesystem = context.filesystem
    for ino in filesystem.open_files.open_inodes():
        filesystem.volume.invalidation.inode(ino)
    return await list_keys(ListKeys(), context)


async def rewrap_keys(request: RewrapKeys, context: Context) -> Rewrapping:
    """Data keys are under the newest versions."""
    administration = _administration(context)
    if request.name is not None:
        _check_there(administration.ring, request.name)
    done = await administration.rewrap(
        request.name,
        forget_old=request.forget_old,
        dry_run=request.dry_run,
        on_progress=partial(_progress, context),
    )
    return Rewrapping(
        rewrapped=done.rewrapped,
        already_new=done.already_new,
        left=done.left,
        destroyed=[
            KeyChange(name=name, version=version, state="destroyed")
            for name, version in done.destroyed
        ],
        dry_run=request.dry_run,
    )


async def change_secret(request: ChangeSecret, context: Context) -> Done:
    """The secret opens the ring."""
    await _administration(context).let_open(
        _secret(request), beside=request.beside, opener=request.opener, alone=request.alone
    )
    return Done()


def _secret(request: ChangeSecret) -> Secret:
    match request.kind:
        case "passphrase":
            return Passphrase(request.secret)
        case "recovery":
            return RecoveryKey.parse(request.secret)
        case "key-file":
            return KeyFile.parse(request.secret.encode())
        case _:
            raise errors.InvalidArgument(f"{request.kind!r} is no kind of secret")


def _administration(context: Context) -> KeyAdministration:
    context.check_may_administer()
    return context.filesystem.key_administration


async def _progress(context: Context, done: int, total: int) -> None:
    await context.outlet.progress("data keys", done=done, total=total)
