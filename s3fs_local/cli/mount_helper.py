"""The program `mount.s3fs_local`: what mount(8) calls for `mount -t` and for /etc/fstab.

Its arguments are mount(8)'s: `SOURCE DIRECTORY [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]`.
"""

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from s3fs_local.cli.main import run

SYSTEM_MOUNT_ERROR = 32
"""mount(8): mount failure. Any other code would mean something else to it."""


@click.command(add_help_option=False)
@click.argument("store", type=click.Path())
@click.argument("directory", type=click.Path())
@click.option("-o", "options", multiple=True)
@click.option("-s", "-n", "-v", "unneeded", is_flag=True)
@click.option("-f", "fake", is_flag=True)
@click.option("-t", "-N", "ignored", multiple=True)
def helper(store: str, directory: str, options: tuple[str, ...], *, fake: bool, **_: object) -> int:
    """Mount a store; returns 0 only when it is mounted."""
    if fake:
        return 0
    words = [word for option in options for word in ("-o", option)]
    return SYSTEM_MOUNT_ERROR if run(["mount", *words, "--", store, directory]) else 0


def run_helper(arguments: Sequence[str]) -> int:
    """The exit code of the program with these arguments."""
    try:
        code: int = helper.main(list(arguments), "mount.s3fs_local", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return SYSTEM_MOUNT_ERROR
    return code


def main() -> NoReturn:
    """The program `mount.s3fs_local`."""
    sys.exit(run_helper(sys.argv[1:]))
