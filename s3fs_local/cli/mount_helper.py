"""The programs `mount.s3fs_local` and `umount.s3fs_local`, which mount(8) and umount(8) call.

Their arguments are those of mount(8), in "External helpers":
`SOURCE DIRECTORY [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]`, and of umount(8):
`DIRECTORY [-flnrv] [-N NAMESPACE] [-t TYPE]`. Without the second, umount(8) returns while the
daemon still makes things durable; a shutdown must not overtake it.
"""

import subprocess
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

import click

from s3fs_local.cli.main import run
from s3fs_local.cli.mount_note import note_helper
from s3fs_local.daemon.config import is_remount
from s3fs_local.system.memory_dumps import keep_memory_private

SYSTEM_MOUNT_ERROR: Final = 32
"""mount(8) and umount(8): failure. Any other code would mean something else to them."""


@click.command("mount.s3fs_local", add_help_option=False)
@click.argument("store", type=click.Path())
@click.argument("directory", type=click.Path())
@click.option("-o", "options", multiple=True)
@click.option("-s", "-n", "-v", "unneeded", is_flag=True)
@click.option("-f", "fake", is_flag=True)
@click.option("-t", "-N", "ignored", multiple=True)
def mount_helper(
    store: str, directory: str, options: tuple[str, ...], *, fake: bool, **_: object
) -> int:
    """Mount a store; returns 0 only when it is mounted."""
    if fake:
        return 0
    words = [word for option in options for word in ("-o", option)]
    if run(["mount", *words, "--", store, directory]):
        return SYSTEM_MOUNT_ERROR
    if not is_remount(options) and not note_helper(store, directory):
        click.echo("mount.s3fs_local: umount will not wait until all is durable", err=True)
    return 0


@click.command("umount.s3fs_local", add_help_option=False)
@click.argument("directory", type=click.Path())
@click.option("-l", "lazily", is_flag=True)
@click.option("-f", "by_force", is_flag=True)
@click.option("-n", "-r", "-v", "unneeded", is_flag=True)
@click.option("-t", "-N", "ignored", multiple=True)
def umount_helper(directory: str, *, lazily: bool, by_force: bool, **_: object) -> int:
    """Unmount; returns 0 when everything is durable and the daemon is gone."""
    if lazily or by_force:
        # Whoever says so does not want to wait. `-i` keeps umount(8) from calling us again.
        flags = [flag for flag, is_set in (("-l", lazily), ("-f", by_force)) if is_set]
        command = ["umount", "-i", *flags, "--", directory]
        return subprocess.run(command, check=False).returncode  # noqa: S603  no shell
    return SYSTEM_MOUNT_ERROR if run(["umount", "--", directory]) else 0


def run_helper(helper: click.Command, arguments: Sequence[str]) -> int:
    """The exit code of the helper with these arguments."""
    try:
        code: int = helper.main(list(arguments), helper.name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return SYSTEM_MOUNT_ERROR
    return code


def main() -> NoReturn:
    """The program `mount.s3fs_local`."""
    keep_memory_private()
    sys.exit(run_helper(mount_helper, sys.argv[1:]))


def main_of_umount() -> NoReturn:
    """The program `umount.s3fs_local`."""
    sys.exit(run_helper(umount_helper, sys.argv[1:]))
