"""Commands about keys: what wraps the keys of files, and what opens the ring of those that wrap."""

from pathlib import Path
from typing import Literal

import click

from s3fs_local import errors
from s3fs_local.cli.command_group import CommandGroup
from s3fs_local.cli.options import (
    ask_new_passphrase,
    dry_run_option,
    existing_file,
    json_option,
    store_argument,
    yes_option,
)
from s3fs_local.cli.output import print_json, print_line, print_table
from s3fs_local.cli.store_access import ask, ask_by_secret, confirm_what_would_be, store_of
from s3fs_local.control.requests import (
    AddKey,
    ChangeSecret,
    ListKeys,
    RewrapKeys,
    RotateKey,
    SetKeyState,
)
from s3fs_local.control.results.keys import KeyChange, KeyListing, Rewrapping
from s3fs_local.control.results.store import Done
from s3fs_local.daemon.layout import KEY_FILE_NAME, KEYRING_LOCK_NAME
from s3fs_local.daemon.store_file import read_store_file
from s3fs_local.daemon.unlocking import put_into_keyring, read_passphrase
from s3fs_local.system.durable_files import OwnerLock

_name = click.argument("name")
_version = click.option("--version", type=click.IntRange(min=1), help="Only this version of it.")


@click.group(cls=CommandGroup)
def key() -> None:
    """Look after the keys of a store, and after what opens them."""


@key.command("list")
@store_argument
@json_option
def list_keys(store: str, *, as_json: bool) -> None:
    """List every key, its versions, and how many files' keys each wraps."""
    _print(ask(store_of(store), ListKeys(), KeyListing, quiet=as_json), as_json=as_json)


def _print(listing: KeyListing, *, as_json: bool) -> None:
    if as_json:
        print_json(listing)
        return
    rows = []
    for row in listing.keys:
        wraps = "new files" if row.wraps_new else ""
        if not row.versions:
            rows.append([row.name, row.source, "", "", str(row.data_keys), wraps])
        for version in row.versions:
            number, count = str(version.version), str(version.data_keys)
            rows.append([row.name, row.source, number, version.state, count, wraps])
    print_table(["key", "kept by", "version", "state", "data keys", "wraps"], rows)
    print_line(f"opened by: {', '.join(listing.opened_by)}")


@key.command("add")
@store_argument
@_name
@json_option
def add_key(store: str, name: str, *, as_json: bool) -> None:
    """Make one more named key; `bucket encryption put` makes files use it."""
    _print_change(ask(store_of(store), AddKey(name), KeyChange, quiet=as_json), as_json=as_json)


@key.command("rotate")
@store_argument
@click.argument("name", default="store")
@json_option
def rotate_key(store: str, name: str, *, as_json: bool) -> None:
    """Make a new version of a key (of `store` if none is named), which wraps from now on."""
    _print_change(ask(store_of(store), RotateKey(name), KeyChange, quiet=as_json), as_json=as_json)


def _print_change(change: KeyChange, *, as_json: bool) -> None:
    if as_json:
        print_json(change)
    else:
        print_line(f"key {change.name}: version {change.version} is {change.state}")


@key.command("disable")
@store_argument
@_name
@_version
@dry_run_option
@yes_option
@json_option
def disable_key(
    store: str, name: str, version: int | None, *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Keep a key from being used until it is enabled again: what it wraps cannot be opened."""
    what = f"key {name}" if version is None else f"version {version} of key {name}"
    where = store_of(store)
    request = SetKeyState(name, enabled=False, version=version, dry_run=dry_run)

    def warning(would: KeyListing) -> str:
        return (
            f"No file whose key is wrapped by {what} can be opened until it is enabled; it wraps"
            f" {_data_keys(would, name, version)} data keys."
        )

    confirm_what_would_be(where, request, KeyListing, warning, yes=yes or dry_run, quiet=as_json)
    listing = ask(where, request, KeyListing, quiet=as_json)
    _print(listing, as_json=as_json)
    if dry_run and not as_json:
        print_line(f"{what} would be disabled, with {_data_keys(listing, name, version)} data keys")


def _data_keys(listing: KeyListing, name: str, version: int | None) -> int:
    """How many data keys the key, or the one version of it, wraps."""
    (row,) = [row for row in listing.keys if row.name == name]
    if version is None:
        return row.data_keys
    return next(found.data_keys for found in row.versions if found.version == version)


@key.command("enable")
@store_argument
@_name
@_version
@json_option
def enable_key(store: str, name: str, version: int | None, *, as_json: bool) -> None:
    """Let a key wrap and unwrap again."""
    request = SetKeyState(name, enabled=True, version=version)
    _print(ask(store_of(store), request, KeyListing, quiet=as_json), as_json=as_json)


@key.command("rewrap")
@store_argument
@click.argument("name", required=False)
@click.option("--forget-old", is_flag=True, help="Then destroy the earlier versions, for good.")
@dry_run_option
@yes_option
@json_option
def rewrap_keys(
    store: str, name: str | None, *, forget_old: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Wrap every file's key by the newest version of its key; data is not touched."""
    where = store_of(store)
    request = RewrapKeys(name, forget_old=forget_old, dry_run=dry_run)
    agreed = yes or dry_run or not forget_old
    confirm_what_would_be(where, request, Rewrapping, _warning, yes=agreed, quiet=as_json)
    done = ask(where, request, Rewrapping, quiet=as_json)
    if as_json:
        print_json(done)
        return
    would = "would be " if done.dry_run else ""
    print_line(f"{done.rewrapped} data keys {would}rewrapped, {done.already_new} were new already")
    if done.left:
        print_line(f"{done.left} were left, because what wraps them is disabled or missing")
    for gone in done.destroyed:
        print_line(f"version {gone.version} of key {gone.name} {would}destroyed")


def _warning(would: Rewrapping) -> str:
    gone = ", ".join(f"version {one.version} of {one.name}" for one in would.destroyed)
    return (
        f"Earlier versions of the keys will be destroyed ({gone or 'there are none now'}): old"
        " copies of the store and of its zones stay closed to the present key ring for ever."
    )


@key.command("passphrase")
@store_argument
@click.option("--new-passphrase-file", type=existing_file, help="Its first line is the new one.")
@click.option("--only", is_flag=True, help="And let no key file open the store any more.")
@json_option
def change_passphrase(
    store: str, new_passphrase_file: Path | None, *, only: bool, as_json: bool
) -> None:
    """Give a store a passphrase, in place of an earlier one."""
    path = store_of(store)
    if new_passphrase_file is not None:
        passphrase: str | None = read_passphrase(new_passphrase_file)
    else:
        passphrase = ask_new_passphrase(path)
    if passphrase is None:
        raise errors.InvalidArgument("no new passphrase was given: use --new-passphrase-file")
    opener: Literal["passphrase"] | None = "passphrase" if only else None
    done = ask(
        path, ChangeSecret("passphrase", passphrase, opener=opener, alone=only), Done, quiet=as_json
    )
    if only:
        _remove_key_file(path)
    if as_json:
        print_json(done)
    else:
        print_line("the new passphrase opens the store")


@key.command("recovery")
@store_argument
@click.argument("sheet", type=existing_file)
@json_option
def make_recovery_key(store: str, sheet: Path, *, as_json: bool) -> None:
    """Make a new recovery key, on a sheet to print, in place of an earlier one."""
    # What takes long to import is imported only by commands that need it.
    from s3fs_local.daemon.creation import (  # noqa: PLC0415
        begun_recovery_sheet,
        new_recovery_key,
        write_recovery_sheet,
    )

    path = store_of(store)
    recovery = new_recovery_key()
    store_id = read_store_file(path).store_id
    # A sheet that is there opens the store; until it does, the earlier one does.
    with begun_recovery_sheet(sheet) as begun:
        write_recovery_sheet(begun, recovery, store=path, store_id=store_id)
        ask(path, ChangeSecret("recovery", recovery, beside=True), Done, quiet=as_json)
    _take_the_place(path, ChangeSecret("recovery", recovery), as_json=as_json)
    if not as_json:
        print_line(f"print {sheet}, put it away, and delete it")


@key.command("keyring")
@store_argument
@json_option
def move_to_keyring(store: str, *, as_json: bool) -> None:
    """Let the keyring of this desktop have a new key, in place of the key file or its old one."""
    from s3fs_local.daemon.creation import new_key_text  # noqa: PLC0415  as above

    path = store_of(store)
    store_id = read_store_file(path).store_id
    made = new_key_text()
    with OwnerLock.acquire(path / KEYRING_LOCK_NAME):  # two would put away each the other's key
        # The keyring forgets the key that it has, so the new one must open the store before.
        ask(path, ChangeSecret("key-file", made, beside=True), Done, quiet=as_json)
        put_into_keyring(store_id, made)
        _take_the_place(path, ChangeSecret("key-file", made, opener="keyring"), as_json=as_json)
    _remove_key_file(path)
    if not as_json:
        print_line("the keyring of this desktop has the key of the store")


def _take_the_place(path: Path, request: ChangeSecret, *, as_json: bool) -> None:
    """The secret, which opens the store by now, is the only one of its kind that does."""
    done = ask_by_secret(path, request, Done, secret=request.secret, quiet=as_json)
    if as_json:
        print_json(done)


def _remove_key_file(path: Path) -> None:
    """No key file lies in the store: it opens nothing any more."""
    (path / KEY_FILE_NAME).unlink(missing_ok=True)
