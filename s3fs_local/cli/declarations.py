"""What the commands declare about themselves: the one source of `--help`, manual and reference."""

import inspect
from collections.abc import Iterator
from typing import Final

import click

from s3fs_local.cli.main import program

FILES: Final = {
    "STORE/daemon.log": "What the daemon has to say, unless it logs elsewhere.",
    "STORE/unlock.key": "Opens the store, unless it was made with a passphrase. Keep a copy.",
    "DIRECTORY/.versions": "In every directory of a mount: all its past, as read-only files.",
    "DIRECTORY/.s3fs/status.json": "At the root of a mount: what status says, as JSON.",
    "DIRECTORY/.s3fs/oplog": "The last thousand requests, for the owner of the store.",
    "/etc/s3fs-local/NAME.conf": "STORE, DIRECTORY and OPTIONS of the unit s3fs-local@NAME.",
}
FENCE: Final = "\b"
"""A paragraph that begins so is shown as it is written (click)."""


def leaves(
    command: click.Command, context: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    """Every command that can be typed, below and including this one, each with its words."""
    if not isinstance(command, click.Group):
        yield command, context
        return
    for name, child in sorted(command.commands.items()):
        yield from leaves(child, click.Context(child, info_name=name, parent=context))


def usage(command: click.Command, context: click.Context) -> str:
    """The line that says how it is typed."""
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def short(command: click.Command) -> str:
    """What it does, in a few words."""
    return command.get_short_help_str(limit=200).rstrip(".")


def environment() -> dict[str, str]:
    """The variables that stand for options."""
    variables = {}
    for parameter in program.params:
        if isinstance(parameter, click.Option) and isinstance(parameter.envvar, str):
            variables[parameter.envvar] = f"As {parameter.opts[0]}."
    return variables


def options(command: click.Command, context: click.Context) -> dict[str, str]:
    """The options with what they do. Arguments stand in the usage, with names that speak."""
    terms = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            term, text = record
            terms[term] = text
    return terms


def paragraphs(text: str) -> list[str]:
    """Of a help text; those that begin with `FENCE` keep their lines."""
    return inspect.cleandoc(text).split("\n\n") if text else []
