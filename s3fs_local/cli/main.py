"""The command `s3fs-local`: its commands, and how it ends."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from s3fs_local import errors
from s3fs_local.cli.browse_command import browse
from s3fs_local.cli.class_commands import retrieve, storage_class
from s3fs_local.cli.command_group import CommandGroup
from s3fs_local.cli.completion_command import COMPLETION_VARIABLE, completion
from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.key_commands import key
from s3fs_local.cli.ledger_commands import ledger, verify
from s3fs_local.cli.lifecycle_commands import lifecycle, tag
from s3fs_local.cli.lock_commands import append_only, legal_hold, protect, retention, why
from s3fs_local.cli.mount_commands import mount, umount
from s3fs_local.cli.object_lock_commands import object_lock
from s3fs_local.cli.options import unlock_options
from s3fs_local.cli.output import PROGRAM, NotConfirmed, print_error, report
from s3fs_local.cli.replication_commands import promote, receive, replication, resync
from s3fs_local.cli.standard_streams import (
    drop_unwritten_output,
    forget_output,
    open_standard_streams,
)
from s3fs_local.cli.store_access import KeySources
from s3fs_local.cli.store_commands import bucket, config, gc, init, stats, status
from s3fs_local.cli.system_refusals import as_refusal
from s3fs_local.cli.top_command import top
from s3fs_local.cli.version_commands import (
    cat,
    diff,
    log,
    purge,
    restore,
    timeline,
    undelete,
    versions,
)
from s3fs_local.cli.zone_commands import fsck, scrub, zone
from s3fs_local.system.memory_dumps import keep_memory_private


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="s3fs-local")
@unlock_options
@click.pass_context
def program(context: click.Context, passphrase_file: Path | None, key_file: Path | None) -> None:
    """Keep every version of every file of a directory, encrypted, and lock what must not change.

    PATH is a path inside a mounted store, or STORE:/path. STORE is a store's directory, mounted or
    not. s3fs-local(1) lists the exit codes.
    """
    os.umask(0o077)  # whatever we make is part of a store
    context.obj = KeySources(passphrase_file=passphrase_file, key_file=key_file)


for command in (
    *(init, mount, umount, status, config),
    *(verify, ledger),
    *(versions, log, timeline, diff, cat, restore, undelete, purge),
    *(protect, retention, legal_hold, append_only, why),
    *(bucket, key, lifecycle, tag, stats, top, browse, gc, zone, scrub, fsck, completion),
    *(storage_class, retrieve),
    *(replication, promote, resync, receive),
):
    program.add_command(command)
bucket.add_command(object_lock)


def run(arguments: Sequence[str]) -> int:
    """The exit code of the program with these arguments."""
    try:
        code = program.main(
            args=list(arguments),
            prog_name=PROGRAM,
            complete_var=COMPLETION_VARIABLE,
            standalone_mode=False,
        )
        sys.stdout.flush()
    except click.ClickException as error:
        return _told(error, as_json="--json" in arguments)
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output (`| head`) has enough. What is still buffered goes nowhere. The
        # code is the one with which click ends where it notices first.
        forget_output()
        return ExitCode.FAILURE
    except (errors.S3fsLocalError, OSError) as error:
        return report(as_refusal(error), as_json="--json" in arguments)
    return code if isinstance(code, int) else ExitCode.OK


def _told(error: click.ClickException, *, as_json: bool) -> int:
    """The code for what click noticed, which is told."""
    if isinstance(error, NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
    else:
        print_error(error, error.format_message(), _advice_on(error), as_json=as_json)
    return error.exit_code


def _advice_on(error: click.ClickException) -> str:
    if isinstance(error, NotConfirmed):
        return error.advice
    usage = error.ctx if isinstance(error, click.UsageError) else None
    return f"`{usage.command_path if usage else PROGRAM} --help` says how to use it."


def main() -> NoReturn:
    """The program `s3fs-local`."""
    open_standard_streams()
    keep_memory_private()
    code = run(sys.argv[1:])
    drop_unwritten_output()
    sys.exit(code)
