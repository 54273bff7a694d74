"""The reference for people: `python -m s3fs_local.cli.reference docs/reference` writes its pages.

Made from the declarations that the program works by, so no page can say what the code does not do.
"""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from s3fs_local import errors
from s3fs_local.cli.advice import ADVICE
from s3fs_local.cli.declarations import (
    FENCE,
    FILES,
    environment,
    leaves,
    options,
    paragraphs,
    short,
    usage,
)
from s3fs_local.cli.exit_codes import EXIT_CODES, MEANINGS
from s3fs_local.cli.main import program
from s3fs_local.cli.output import PROGRAM
from s3fs_local.control.protocol import error_classes
from s3fs_local.control.results.activity import ActivitySample, KindRow
from s3fs_local.control.results.store import Status
from s3fs_local.control.results.zones import ZoneRow
from s3fs_local.daemon import config
from s3fs_local.daemon.metrics import StoreCollector
from s3fs_local.engine.attribute_meanings import ATTRIBUTES
from s3fs_local.fuse.errno_table import errno_of
from s3fs_local.rules import limits, tags
from s3fs_local.rules.findings import Health
from s3fs_local.rules.quorum import ZONES_MAX
from s3fs_local.rules.settings import Settings, describe

_NOTE: Final = "<!-- written by `python -m s3fs_local.cli.reference docs/reference` -->"


def pages() -> dict[str, str]:
    """The text of every page, by its file name."""
    made = {
        "commands.md": _commands(),
        "settings.md": _settings(),
        "mount-options.md": _mount_options(),
        "attributes.md": _attributes(),
        "errors.md": _errors(),
        "metrics.md": _metrics(),
        "files.md": _files(),
        "limits.md": _limits(),
    }
    return {name: "\n".join([_NOTE, "", *lines]) + "\n" for name, lines in made.items()}


def _commands() -> Iterator[str]:
    yield from ("# Commands", "", "`--help` and the manual pages say the same.", "")
    context = click.Context(program, info_name=PROGRAM)
    yield from _rows(["before any command", ""], _in_code(options(program, context)))
    yield from _rows(["variable", "is as"], _in_code(environment()))
    rows = [[f"[`{name}`](#{PROGRAM}-{name})", short(program.commands[name])] for name in _names()]
    yield from _rows(["command", "does"], rows)
    for name in _names():
        command = program.commands[name]
        of_it = click.Context(command, info_name=name, parent=context)
        yield from (f"## {PROGRAM} {name}", "")
        for leaf, leaf_context in leaves(command, of_it):
            yield from _command(leaf, leaf_context)


def _names() -> list[str]:
    return sorted(name for name, command in program.commands.items() if not command.hidden)


def _command(leaf: click.Command, context: click.Context) -> Iterator[str]:
    if context.parent is not None and context.parent.parent is not None:
        yield from (f"### {context.command_path}", "")
    yield from (f"`{usage(leaf, context)}`", "")
    for paragraph in paragraphs(leaf.help or ""):
        if paragraph.startswith(FENCE):
            yield from ("```text", paragraph.removeprefix(FENCE).strip("\n"), "```", "")
        else:
            yield from (_escaped(" ".join(paragraph.split())), "")
    yield from _rows(["option", "does"], _in_code(options(leaf, context)))


def _settings() -> Iterator[str]:
    yield from ("# Settings", "")
    yield f"`{PROGRAM} config set STORE NAME VALUE` changes one, `config show STORE` tells all."
    yield ""
    yield from _rows(
        ["setting", "default", "accepts", "is"],
        [
            [
                f"`{line.name}`",
                f"`{line.default}`" if line.default else "",
                line.accepts,
                line.meaning,
            ]
            for line in describe(Settings())
        ],
    )


def _mount_options() -> Iterator[str]:
    yield from ("# Mount options", "")
    yield "For `s3fs-local mount -o`, mount(8) and `/etc/fstab`; separated by commas. In names"
    yield from ("`_` and `-` are the same.", "")
    yield from _rows(["option", "does"], _in_code(config.MEANINGS))


def _attributes() -> Iterator[str]:
    yield from ("# Extended attributes", "")
    yield "`getfattr -n s3.NAME FILE` and `setfattr -n s3.NAME -v VALUE FILE`. Listings name them"
    yield "only with the mount option `xattr_list`, so that no program copies a lock by itself."
    yield ""
    rows = [[f"`s3.{name}`", row.says, row.takes] for name, row in ATTRIBUTES.items()]
    yield from _rows(["attribute", "says", "takes"], rows)


def _errors() -> Iterator[str]:
    yield from ("# Errors", "")
    yield "What a program sees (errno), what a command ends with (exit code), and what to do. With"
    yield from ("`--json` a command names the error on standard error.", "")
    yield from _rows(
        ["error", "is", "errno", "exit code", "what to do"],
        [
            [
                f"`{kind.__name__}`",
                (kind.__doc__ or "").splitlines()[0],
                _errno(kind),
                str(EXIT_CODES[kind].value),
                ADVICE[kind],
            ]
            for kind in error_classes(errors.S3fsLocalError)
            if not kind.__subclasses__()
        ],
    )
    yield from ("## Exit codes", "")
    rows = [[str(code.value), meaning] for code, meaning in MEANINGS.items()]
    yield from _rows(["code", "means"], rows)
    yield "A number, once given, never means anything else. `mount.s3fs_local`, which mount(8)"
    yield "calls, ends with 0, or with mount(8)'s own 32."


def _errno(kind: type[errors.S3fsLocalError]) -> str:
    number = errno_of(kind.__new__(kind))
    return f"{errno.errorcode[number]} ({os.strerror(number)})"


def _metrics() -> Iterator[str]:
    yield from (
        "# Metrics",
        "",
        "At the address of the mount option `metrics`, as OpenMetrics.",
        "",
    )
    rows = []
    for metric in StoreCollector(lambda: (_STATUS, _ACTIVITY)).collect():
        labels = {label for sample in metric.samples for label in sample.labels}
        rows.append(
            [f"`{metric.name}`", metric.type, ", ".join(sorted(labels)), metric.documentation]
        )
    yield from _rows(["metric", "type", "labels", "is"], rows)


_STATUS: Final = Status(
    store="",
    store_id="",
    health=Health.HEALTHY,
    findings=[],
    versioning="",
    object_lock=False,
    read_only=False,
    zones=[ZoneRow("", "", 0, 0)],
)
_ACTIVITY: Final = ActivitySample(
    uptime_ns=0,
    kinds=[KindRow("", 0, 0, 1)],
    failures={"": 0},
    running=[],
    open_files=0,
    dirty_bytes=0,
    journal_bytes=0,
    fsyncs=0,
)


def _files() -> Iterator[str]:
    yield from ("# Files of a store and of a mount", "")
    yield from _rows(["file", "is"], _in_code(FILES))


def _limits() -> Iterator[str]:
    yield from ("# Limits", "")
    yield from _rows(
        ["what", "at most"],
        [
            ["bytes of a name", str(limits.NAME_BYTES_MAX)],
            ["bytes of the target of a symbolic link", str(limits.TARGET_BYTES_MAX)],
            ["hard links to a file", str(limits.LINKS_MAX)],
            ["bytes of a file", str(limits.FILE_BYTES_MAX)],
            ["bytes of an extended attribute", str(limits.XATTR_VALUE_BYTES_MAX)],
            ["bytes of all extended attributes of a file", str(limits.XATTR_TOTAL_BYTES_MAX)],
            ["bytes of their names", str(limits.XATTR_NAMES_BYTES_MAX)],
            ["tags of a version", str(tags.TAGS_MAX)],
            ["zones of a store", str(ZONES_MAX)],
        ],
    )


def _in_code(terms: Mapping[str, str]) -> list[list[str]]:
    return [[f"`{term}`", " ".join(text.split())] for term, text in terms.items()]


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    yield _row(columns)
    yield _row(["---"] * len(columns))
    yield from (_row([_cell(cell) for cell in row]) for row in rows)
    yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return (text if text.startswith(("`", "[`")) else _escaped(text)).replace("|", "\\|")


def _escaped(text: str) -> str:
    """The text as Markdown shows it: neither tags nor emphasis of its own."""
    return text.replace("<", "&lt;").replace("*", "\\*")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def write_reference(folder: Path) -> None:
    """Write every page of the reference into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    write_reference()
