"""What a page asks a reader to type, and what it says they will see.

A page is Markdown. Of its code blocks these are commands:

    ```console    `$ ` begins a command, `# ` one of root's, what follows is what it prints
    ```sh         a script that must succeed; its output is nobody's business

An indented block with a `$ ` is a session, too. Comments, which no reader sees, say the rest; each
speaks of the block after it, but for the hidden lines, which stand for what the text says:

    <!-- run: LINES -->        shell lines, run here
    <!-- file: PATH -->        the block is the content of a file, which is written
    <!-- not run: CAUSE -->    the commands are not run, and this is why
    <!-- not from the package: CAUSE -->   they are not run where only the package is installed
    <!-- types: WORDS -->      what is typed when the commands ask
    <!-- numbers vary -->      numbers in the output are not compared
    <!-- written by … -->      a note to whoever edits the page
    <!-- needs: aws -->        anywhere: the page needs a server that speaks S3 and KMS
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

PROJECT: Final = Path(__file__).parent.parent.parent
PAGES: Final = sorted(
    [*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("docs/reference/*.md")]
)
SESSION: Final = "console"
SCRIPT: Final = "sh"

Directive = Literal[
    "run", "file", "not run", "not from the package", "types", "numbers vary", "needs"
]
_DIRECTIVE: Final = re.compile(
    r"(?P<name>run|file|not run|not from the package|types|needs)\s*:(?P<value>.+)"
    r"|(?P<bare>numbers vary)",
    re.DOTALL,
)
_NOTE: Final = "written by "
_FENCE: Final = re.compile(r"(?P<indent> *)(?P<fence>`{3,})(?P<language>[\w{}-]*)\s*$")
_PROMPT: Final = re.compile(r"[$#] ")
_LOOKS_TYPED: Final = re.compile(r"^(?:\$ |s3fs-local )", re.MULTILINE)


class MisreadPage(AssertionError):
    """A page holds something that is neither text nor a block as this module knows them."""


class Block(Struct, frozen=True):
    """A code block, or the hidden lines of a comment (language `run`)."""

    line: int
    language: str
    text: str
    directives: dict[str, str]

    @property
    def is_commands(self) -> bool:
        """Whether a reader is meant to type some of it."""
        if "file" in self.directives:
            return False
        if self.language == "":
            return any(line.startswith("$ ") for line in self.text.splitlines())
        return self.language in {SESSION, SCRIPT, "run"}


class Command(Struct, frozen=True):
    """One command of a page, in its place."""

    line: int
    text: str
    shown: str | None = None  # what the page says it prints; None = the page does not say
    types: str | None = None
    numbers_vary: bool = False


class File(Struct, frozen=True):
    """A file that a page tells its reader to write."""

    line: int
    path: str
    text: str


Step = Command | File


def blocks_of(text: str) -> Iterator[Block]:
    """Every code block and hidden script of the page, in order.

    Raises:
        MisreadPage: a comment is no directive, or a fence is not closed.
    """
    lines = text.splitlines()
    directives: dict[str, str] = {}
    at = 0
    while at < len(lines):
        begin = at
        if lines[at].lstrip().startswith("<!--"):
            comment, at = _comment(lines, at)
            if comment.startswith(_NOTE):
                continue
            name, value = _directive(comment, begin + 1)
            if name == "run":
                yield Block(begin + 1, "run", value, {})
            else:
                directives[name] = value
            continue
        fence = _FENCE.match(lines[at])
        if fence:
            content, at = _fenced(lines, at, fence)
            yield Block(begin + 1, fence["language"], content, directives)
            directives = {}
        elif lines[at].startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            content, at = _indented(lines, at)
            yield Block(begin + 1, "", content, directives)
            directives = {}
        else:
            at += 1
    if directives.keys() - {"needs"}:
        raise MisreadPage(f"no block follows {directives}")


def _comment(lines: list[str], at: int) -> tuple[str, int]:
    for end in range(at, len(lines)):
        if lines[end].rstrip().endswith("-->"):
            text = "\n".join(lines[at : end + 1]).strip()
            return text.removeprefix("<!--").removesuffix("-->").strip(), end + 1
    raise MisreadPage(f"line {at + 1}: the comment has no end")


def _directive(comment: str, line: int) -> tuple[str, str]:
    match = _DIRECTIVE.fullmatch(comment)
    if match is None:
        raise MisreadPage(f"line {line}: the comment says nothing that the tests know: {comment}")
    return match["name"] or match["bare"], (match["value"] or "").strip()


def _fenced(lines: list[str], at: int, fence: re.Match[str]) -> tuple[str, int]:
    indent = len(fence["indent"])
    for end in range(at + 1, len(lines)):
        if lines[end].strip() == fence["fence"]:
            return "\n".join(line[indent:] for line in lines[at + 1 : end]), end + 1
    raise MisreadPage(f"line {at + 1}: the fence is not closed")


def _indented(lines: list[str], at: int) -> tuple[str, int]:
    end = at
    while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
        end += 1
    return "\n".join(line[4:] for line in lines[at:end]).rstrip(), end


def steps_of(text: str, *, from_package: bool = False) -> Iterator[Step]:
    """What is done, in order, to do what the page says."""
    for block in blocks_of(text):
        if "not run" in block.directives:
            continue
        if from_package and "not from the package" in block.directives:
            continue
        if "file" in block.directives:
            yield File(block.line, block.directives["file"], block.text + "\n")
        elif block.language in {SCRIPT, "run"}:
            yield Command(block.line, block.text)
        elif block.is_commands:
            yield from _commands_of(block)


def _commands_of(block: Block) -> Iterator[Command]:
    lines = block.text.splitlines()
    starts = [
        at
        for at, line in enumerate(lines)
        if _PROMPT.match(line) and not (at and lines[at - 1].endswith("\\"))
    ]
    if not starts or starts[0] != 0:
        raise MisreadPage(f"line {block.line}: a session begins with a command")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        typed = start + 1
        while lines[typed - 1].endswith("\\"):
            typed += 1
        shown = "\n".join(lines[typed:end]).strip("\n")
        yield Command(
            # A fence has a line of its own, an indented block has not.
            line=block.line + start + (1 if block.language else 0),
            text="\n".join(lines[start:typed])[2:],
            shown=shown or None,
            types=block.directives.get("types"),
            numbers_vary="numbers vary" in block.directives,
        )


def needs_aws(text: str) -> bool:
    """Whether the page says that it needs a server of S3 and KMS."""
    return re.search(r"^<!-- needs: aws -->$", text, re.MULTILINE) is not None


def not_run(text: str) -> Iterator[tuple[Block, str]]:
    """The blocks of commands that are not run (everywhere), each with its cause."""
    for block in blocks_of(text):
        for name in block.directives.keys() & {"not run", "not from the package"}:
            yield block, " ".join(block.directives[name].split())


def overlooked(text: str) -> Iterator[Block]:
    """Blocks that look like commands, and would be run by nobody."""
    for block in blocks_of(text):
        said = block.directives.keys() & {"file", "not run"}
        if not block.is_commands and not said and _LOOKS_TYPED.search(block.text):
            yield block
