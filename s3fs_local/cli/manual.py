"""The manual pages: `python -m s3fs_local.cli.manual FOLDER --date 2026-11-22` writes them all.

Made from the declarations of the commands, as `--help` is, so that both say the same. The macros
are those of man(7).
"""

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click

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
from s3fs_local.cli.exit_codes import MEANINGS
from s3fs_local.cli.main import program
from s3fs_local.cli.output import PROGRAM
from s3fs_local.daemon import config

_HELPER: Final = "mount.s3fs_local(8)"
_FSTAB: Final = "/srv/store /srv/disk s3fs_local _netdev,nofail,allow_other 0 0"


def pages(date: str) -> Iterator[tuple[str, str]]:
    """(file name, text) of every page; all bear the date, as 2026-11-22."""
    yield f"{PROGRAM}.1", _program_page(date)
    for name, command in sorted(program.commands.items()):
        if command.hidden:
            continue
        yield f"{PROGRAM}-{name}.1", _command_page(name, command, date)
    yield "mount.s3fs_local.8", _helper_page(date)


def _program_page(date: str) -> str:
    context = click.Context(program, info_name=PROGRAM)
    names = sorted(name for name, command in program.commands.items() if not command.hidden)
    lines = [
        *_head(PROGRAM, 1, date, "keep every version of every file of a directory"),
        *_synopsis([f"{PROGRAM} [OPTIONS] COMMAND [ARGUMENTS]"]),
        *(".SH DESCRIPTION", *_paragraphs(program.help or "")),
        *(".SH OPTIONS", *_options(program, context)),
        *(".SH COMMANDS", *_terms({name: short(program.commands[name]) for name in names})),
        ".SH EXIT STATUS",
        *_terms({str(code.value): text for code, text in MEANINGS.items()}),
        *(".SH ENVIRONMENT", *_terms(environment())),
        *(".SH FILES", *_terms(FILES)),
        *_see_also([*(f"{PROGRAM}-{name}(1)" for name in names), _HELPER]),
    ]
    return _text(lines)


def _command_page(name: str, command: click.Command, date: str) -> str:
    context = click.Context(
        command, info_name=name, parent=click.Context(program, info_name=PROGRAM)
    )
    below = list(leaves(command, context))
    lines = [
        *_head(f"{PROGRAM}-{name}", 1, date, _uncapitalized(short(command))),
        *_synopsis([usage(leaf, leaf_context) for leaf, leaf_context in below]),
        *(".SH DESCRIPTION", *_paragraphs(command.help or "")),
    ]
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        for leaf, leaf_context in below:
            lines += [f".SS {_quoted(leaf_context.command_path)}", *_paragraphs(leaf.help or "")]
            lines += _options(leaf, leaf_context)
    else:
        lines += [".SH OPTIONS", *_options(command, context)]
    if name == "mount":
        lines += [".SH MOUNT OPTIONS", *_mount_options()]
    lines += [".SH EXIT STATUS", *_paragraphs(f"See {PROGRAM}(1).")]
    return _text([*lines, *_see_also([f"{PROGRAM}(1)", _HELPER])])


def _helper_page(date: str) -> str:
    lines = [
        *_head("mount.s3fs_local", 8, date, "mount and unmount a store as the system does"),
        *_synopsis(
            [
                "mount -t fuse.s3fs_local [-o OPTIONS] STORE DIRECTORY",
                "mount.s3fs_local STORE DIRECTORY [-fnsv] [-o OPTIONS]",
                "umount.s3fs_local DIRECTORY [-flnrv]",
            ]
        ),
        ".SH DESCRIPTION",
        *_paragraphs(
            "The helpers that mount(8) and umount(8) call for a store of s3fs_local, also for a "
            "line of /etc/fstab:"
        ),
        *(".PP", ".in +4n", ".nf", _escaped(_FSTAB), ".fi", ".in"),
        *_paragraphs(
            "mount returns when files can be used, umount when everything is durable and the "
            "daemon has ended; umount -l and -f do not wait. After a crash the directory answers "
            "“Transport endpoint is not connected” until it is mounted again, which recovers by "
            "itself."
        ),
        *(".SH OPTIONS", *_mount_options()),
        *(".SH EXIT STATUS", *_terms({"0": "It is done.", "32": "It is not; stderr says why."})),
        *_see_also([f"{PROGRAM}(1)", f"{PROGRAM}-mount(1)", "mount(8)", "umount(8)", "fstab(5)"]),
    ]
    return _text(lines)


def _mount_options() -> list[str]:
    return [
        *_paragraphs("Options are separated by commas; “_” and “-” are the same in their names."),
        *_terms(config.MEANINGS),
        *_paragraphs(
            "Words for mount(8) and systemd (nofail, _netdev, noauto, user, x-systemd.…) are "
            "accepted."
        ),
    ]


def _uncapitalized(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _options(command: click.Command, context: click.Context) -> list[str]:
    return _terms(options(command, context))


# Roff.


def _head(name: str, section: int, date: str, purpose: str) -> list[str]:
    return [
        f'.TH {_quoted(name.upper())} {section} {date} "s3fs_local {version(PROGRAM)}"',
        ".SH NAME",
        f"{_escaped(name)} \\- {_escaped(purpose)}",
    ]


def _synopsis(usages: list[str]) -> list[str]:
    lines = [".SH SYNOPSIS"]
    for line in usages:
        words, _, rest = line.partition(" [")
        lines += [f".B {_escaped(words)}", _escaped(f"[{rest}" if rest else "")]
        lines += [".br"]
    return [line for line in lines[:-1] if line]


def _paragraphs(text: str) -> list[str]:
    lines = []
    for paragraph in paragraphs(text):
        if paragraph.startswith(FENCE):
            shown = paragraph.removeprefix(FENCE).strip("\n").split("\n")
            lines += [".PP", ".nf", *map(_escaped, shown), ".fi"]
        else:
            lines += [".PP", _escaped(" ".join(paragraph.split()))]
    return lines


def _terms(terms: dict[str, str]) -> list[str]:
    return [
        line
        for term, text in terms.items()
        for line in (".TP", f".B {_escaped(term)}", _escaped(" ".join(text.split())))
    ]


def _see_also(pages: list[str]) -> list[str]:
    return [".SH SEE ALSO", _escaped(", ".join(pages))]


def _escaped(text: str) -> str:
    """The text for roff: nothing in it is a command."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"[^\x20-\x7e]", lambda match: f"\\[u{ord(match[0]):04X}]", text)
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _quoted(text: str) -> str:
    return '"' + _escaped(text).replace('"', "\\(dq") + '"'


def _text(lines: list[str]) -> str:
    # A paragraph right after a heading is one anyway.
    kept = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if not (line == ".PP" and before.startswith((".SH", ".SS")))
    ]
    return "\n".join(kept) + "\n"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--date", required=True, help="What the pages are dated: YYYY-MM-DD.")
def write_manual(folder: Path, date: str) -> None:
    """Write every manual page into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(date):
        (folder / name).write_text(text)


if __name__ == "__main__":
    write_manual()
