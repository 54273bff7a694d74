"""Commands bucket object-lock get|put|delete."""

from typing import IO, Final

import click

from s3fs_local.cli.command_group import CommandGroup
from s3fs_local.cli.options import json_option, store_argument
from s3fs_local.cli.output import print_json
from s3fs_local.cli.store_access import ask, store_of
from s3fs_local.control.requests import ChangeObjectLock, DescribeObjectLock
from s3fs_local.control.results.documents import ObjectLock
from s3fs_local.control.results.store import Done

DOCUMENT_BYTES_MAX: Final = 1 << 20
WITHOUT_DEFAULT: Final = b'{"ObjectLockEnabled": "Enabled"}'


@click.group("object-lock", cls=CommandGroup)
def object_lock() -> None:
    """Give every new version of a store a lock by default."""


@object_lock.command("get")
@store_argument
@json_option
def get_object_lock(store: str, *, as_json: bool) -> None:
    """Print what `aws s3api get-object-lock-configuration` prints."""
    del as_json  # it prints JSON in any case
    print_json(ask(store_of(store), DescribeObjectLock(), ObjectLock, quiet=True))


@object_lock.command("put")
@store_argument
@click.argument("file", type=click.File("rb"))
@json_option
def put_object_lock(store: str, file: IO[bytes], *, as_json: bool) -> None:
    """Take what `aws s3api put-object-lock-configuration` takes, JSON or XML; FILE may be -.

    Object Lock is on from then on, for ever. What is there already keeps the lock it has.
    """
    _change(store, file.read(DOCUMENT_BYTES_MAX), about=file.name, as_json=as_json)


@object_lock.command("delete")
@store_argument
@json_option
def delete_object_lock(store: str, *, as_json: bool) -> None:
    """Give new versions no lock by default any more; Object Lock stays on."""
    ask(store_of(store), DescribeObjectLock(), ObjectLock, quiet=True)  # none is an error
    _change(store, WITHOUT_DEFAULT, about="", as_json=as_json)


def _change(store: str, document: bytes, *, about: str, as_json: bool) -> None:
    request = ChangeObjectLock(document)
    done = ask(store_of(store), request, Done, quiet=as_json, about=about)
    if as_json:
        print_json(done)
