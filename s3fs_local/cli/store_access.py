"""Asking a store: through its daemon while it is mounted, else by opening it here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec
from msgspec import Struct, structs

from s3fs_local import errors
from s3fs_local.cli.options import ask_passphrase
from s3fs_local.cli.output import confirm, shown_progress
from s3fs_local.control.client import connect
from s3fs_local.control.mount_table import Place, place_of, read_mounts
from s3fs_local.control.requests import DescribeStatus, Request
from s3fs_local.daemon.store_file import STORE_FILE_NAME, read_store_file
from s3fs_local.daemon.unlocking import (
    Unlocking,
    credential,
    from_keyring,
    may_have_a_passphrase,
    read_passphrase,
)

STATUS_SECONDS_MAX: Final = 30.0
"""A daemon that is silent for so long, where it need not wait for anything, hangs."""

Wanted = TypeVar("Wanted", bound=Struct)


class KeySources(Struct, frozen=True):
    """Where this run of the program finds what opens a store's keys; None = where `init` said."""

    passphrase_file: Path | None = None
    key_file: Path | None = None

    def unlocking(self, store: Path) -> Unlocking:
        """What opens the keys of that store; asks for a passphrase where only one does.

        Raises:
            NotAStore, StoreDamaged, FormatTooNew, InvalidArgument, WrongKey.
        """
        if self.passphrase_file is not None:
            return Unlocking(passphrase=read_passphrase(self.passphrase_file))
        if self.key_file is not None:
            return Unlocking(key_file=self.key_file.absolute())
        given = credential()
        if given.is_given:
            return given
        record = read_store_file(store)
        if record.keyring:
            return from_keyring(record.store_id)
        if record.key_file or not may_have_a_passphrase(store):
            return Unlocking()
        return Unlocking(passphrase=ask_passphrase(store))


def ask(
    store: Path,
    request: Request,
    wanted: type[Wanted],
    *,
    quiet: bool,
    about: str = "",
    on_data: Callable[[bytes], Any] = lambda _: None,
) -> Wanted:
    """What came of the request; `quiet` shows no progress.

    Raises:
        S3fsLocalError: whatever the command met, wherever it ran; the message names `about`.
    """
    try:
        return msgspec.convert(_answer(store, request, quiet=quiet, on_data=on_data), wanted)
    except errors.S3fsLocalError as error:
        if about in str(error):
            raise
        raise type(error)(f"{about}: {error}") from error


def confirm_what_would_be(
    store: Path,
    request: Request,
    wanted: type[Wanted],
    sentence: Callable[[Wanted], str],
    *,
    yes: bool,
    quiet: bool,
) -> None:
    """Somebody who has not said yes is told what the request would do, and agrees to it.

    Args:
        store: whom to ask.
        request: which has a dry run: what would be refused is, before anybody is asked.
        wanted: what comes of it.
        sentence: what would be done, by what came of the dry run; empty = nothing to agree to.
        yes: they have said so.
        quiet: shows no progress.

    Raises:
        NotConfirmed: they do not agree, or there is nobody to ask.
        S3fsLocalError: why the request would be refused.
    """
    if yes:
        return
    would = ask(store, structs.replace(request, dry_run=True), wanted, quiet=quiet)
    if told := sentence(would):
        confirm(told, yes=False)


def ask_by_secret(
    store: Path, request: Request, wanted: type[Wanted], *, secret: str, quiet: bool
) -> Wanted:
    """The same, with a key file's text or a recovery key that opens the store if nobody has it."""
    opened_by = Unlocking(key_text=secret)
    answer = _answer(store, request, quiet=quiet, on_data=lambda _: None, unlocking=opened_by)
    return msgspec.convert(answer, wanted)


def _answer(
    store: Path,
    request: Request,
    *,
    quiet: bool,
    on_data: Callable[[bytes], Any],
    unlocking: Unlocking | None = None,
) -> object:
    client = connect(store)
    if client is not None:
        with client, shown_progress(quiet=quiet) as on_progress:
            silence = STATUS_SECONDS_MAX if isinstance(request, DescribeStatus) else None
            return client.ask(
                request, on_progress=on_progress, on_data=on_data, seconds_max=silence
            )
    if unlocking is None:
        told: KeySources = click.get_current_context().find_object(KeySources) or KeySources()
        unlocking = told.unlocking(store)
    # Importing the engine takes longer than most answers of a daemon.
    from s3fs_local.daemon.one_command import run_one_command  # noqa: PLC0415

    with shown_progress(quiet=quiet) as on_progress:
        return run_one_command(
            store, request, unlocking=unlocking, on_progress=on_progress, on_data=on_data
        )


def place(path: str) -> Place:
    """The store and the path in it that a PATH argument means.

    Raises:
        NotMounted: it is in no mounted store, nor of the form STORE:/path.
    """
    return place_of(path, read_mounts())


def places(paths: tuple[str, ...]) -> tuple[Path, tuple[bytes, ...]]:
    """The one store that several PATH arguments mean, and the paths in it.

    Raises:
        NotMounted: one of them is in no store.
        InvalidArgument: they are in several stores.
    """
    mounts = read_mounts()
    found = [place_of(path, mounts) for path in paths]
    stores = {one.store for one in found}
    if len(stores) > 1:
        names = ", ".join(sorted(map(str, stores)))
        raise errors.InvalidArgument(f"the paths are in several stores: {names}")
    return stores.pop(), tuple(one.path for one in found)


def only_store() -> Path:
    """The store that somebody means who names none.

    It is that of the directory they are in, else the one that is mounted.

    Raises:
        InvalidArgument: it is not clear which.
    """
    here = store_of(".")
    if (here / STORE_FILE_NAME).exists():
        return here
    stores = {mount.store for mount in read_mounts() if mount.is_ours}
    if len(stores) != 1:
        known = ", ".join(sorted(map(str, stores))) or "none is mounted"
        raise errors.InvalidArgument(f"name the store: {known}")
    return stores.pop()


def store_of(text: str) -> Path:
    """The store that a STORE argument means: its directory, or any path inside its mount."""
    try:
        return place(text).store
    except errors.NotMounted:
        return Path(text).resolve()
