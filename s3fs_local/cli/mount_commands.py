"""Commands mount and umount."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from s3fs_local.cli.mount_note import forget_note
from s3fs_local.cli.options import ANY_PLACE, json_option, unlock_options
from s3fs_local.cli.output import PROGRAM, print_json
from s3fs_local.cli.store_access import KeySources, ask, store_of
from s3fs_local.control.requests import AwaitReplication
from s3fs_local.control.results.replication import ReplicationSync
from s3fs_local.control.results.store import Done
from s3fs_local.daemon.config import is_remount, parse_mount_options, without_key_options
from s3fs_local.daemon.launch import MountPlan, mount_in_background
from s3fs_local.daemon.remounting import remount
from s3fs_local.daemon.unlocking import read_secrets
from s3fs_local.daemon.unmounting import unmount_and_wait


@click.command()
@click.argument("store", type=ANY_PLACE)
@click.argument("directory", type=ANY_PLACE)
@click.option(
    "-o",
    "options",
    multiple=True,
    metavar="OPTIONS",
    help="Mount options: a,b=c; see mount.s3fs_local(8).",
)
@click.option(
    "--foreground", is_flag=True, help="Do not go to the background; log to standard error."
)
@click.option("--ready-fd", type=int, hidden=True)
@click.option("--secret-fd", type=int, hidden=True)
@unlock_options
@json_option
def mount(  # noqa: PLR0913  an argument each
    store: Path,
    directory: Path,
    options: tuple[str, ...],
    *,
    ready_fd: int | None,
    secret_fd: int | None,
    passphrase_file: Path | None,
    key_file: Path | None,
    foreground: bool,
    as_json: bool,
) -> None:
    """Mount a store on a directory; returns when files can be used."""
    if is_remount(options):
        remount(directory.parent.resolve() / directory.name, options)
        if as_json:
            print_json(Done())
        return
    parsed = parse_mount_options(options)
    store = store.resolve()
    if secret_fd is None:
        group = click.get_current_context().find_object(KeySources) or KeySources()
        sources = KeySources(
            passphrase_file=passphrase_file or parsed.passphrase_file or group.passphrase_file,
            key_file=key_file or parsed.key_file or group.key_file,
        )
        unlocking = sources.unlocking(store)
    else:
        with open(secret_fd, "rb") as secret:  # noqa: PTH123  a descriptor
            unlocking = read_secrets(secret.read(), key_file=key_file)
    plan = MountPlan(
        store=store,
        # The last part is not resolved: it may be a dead mount, which answers nothing.
        mount_point=directory.parent.resolve() / directory.name,
        options=without_key_options(options),
        unlocking=unlocking,
    )
    if foreground:
        # A command that only starts a daemon need not import what the daemon does.
        from s3fs_local.daemon.lifetime import mount_and_serve  # noqa: PLC0415

        mount_and_serve(plan, ready_fd=ready_fd)
    else:
        mount_in_background(plan)
    if as_json:
        print_json(Done())


@contextmanager
def _elsewhere() -> Iterator[None]:
    """In the block this process uses no mount: it must not be what is in the way."""
    here = None
    with suppress(OSError):
        here = Path.cwd()
    os.chdir("/")
    try:
        yield
    finally:
        if here is not None:
            with suppress(OSError):  # it went with the mount
                os.chdir(here)


@click.command()
@click.argument("directory", type=ANY_PLACE)
@click.option("--wait", is_flag=True, help="First until other regions have everything, too.")
@click.option(
    "--discard-unsaved",
    "discards_unsaved",
    is_flag=True,
    help="Also where a zone is away that must save what was written; that is lost then.",
)
@json_option
def umount(directory: Path, *, wait: bool, discards_unsaved: bool, as_json: bool) -> None:
    """Unmount a store; returns when everything is durable, or refuses."""
    directory = directory.absolute()
    if wait:
        ask(store_of(str(directory)), AwaitReplication(), ReplicationSync, quiet=as_json)
    with _elsewhere():
        unmounted = unmount_and_wait(directory, discards_unsaved=discards_unsaved)
    forget_note(directory)
    if as_json:
        print_json(unmounted)
    elif unmounted.discarded is not None:
        click.echo(f"{PROGRAM}: {unmounted.discarded.sentence} were discarded", err=True)
