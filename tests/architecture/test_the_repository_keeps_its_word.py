"""What documents and scripts say is there is there, and the layout holds what the style asks."""

import ast
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent.parent
PACKAGE = PROJECT / "s3fs_local"
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
LOCKS = sorted(PROJECT.glob("requirements*.lock"))
MODULES = sorted(PACKAGE.rglob("*.py"))

FILE_BYTES_MAX = 2 << 20

VAGUE_NAMES = {"utils", "util", "helpers", "common", "types", "base", "misc", "core"}


def heading_anchors(document: Path) -> set[str]:
    """The anchors that a reader's browser makes of the headings."""
    headings = re.findall(r"^#+ +(.*?) *$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> Iterator[str]:
    """Links to files or headings that are not there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (document.parent / name) if name else document
        if not linked.exists() or (anchor and anchor not in heading_anchors(linked)):
            yield target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_in_documents_lead_somewhere(document: Path) -> None:
    """A reader who follows a link finds what it promised."""
    assert list(broken_links(document)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_are_executable_files(document: Path) -> None:
    """What a newcomer types first must not fail on a name that moved."""
    named = set(re.findall(r"(?<![\w/.-])((?:scripts|\.ci)/[\w-]+)", document.read_text()))

    assert [name for name in sorted(named) if not os.access(PROJECT / name, os.X_OK)] == []


def test_no_file_holds_the_marks_of_a_conflict() -> None:
    """A half-merged page reads as two; no other check looks at prose."""
    held = subprocess.run(
        ["git", "grep", "-lE", "^(<{7}|>{7}) "],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout

    assert held == ""


def test_all_scripts_are_executable() -> None:
    """They are the interface of developers; each is run by its name."""
    scripts = [path for path in (PROJECT / "scripts").iterdir() if path.is_file()]

    assert scripts
    assert all(os.access(path, os.X_OK) for path in [*scripts, PROJECT / ".ci/run"])


def test_every_dependency_is_explained() -> None:
    """A library without a reason is one too many."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    lists = [project["project"]["dependencies"]]
    lists += project["project"]["optional-dependencies"].values()
    lists += project["dependency-groups"].values()
    explained = (PROJECT / "docs/dependencies.md").read_text()
    names = [re.match(r"[\w-]+", line) for lines in lists for line in lines]

    assert [name[0] for name in names if name and name[0] not in explained] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_locks_pin_hashes_and_name_no_registry(lock: Path) -> None:
    """The same bytes for everybody, from whichever registry they use."""
    text = lock.read_text()
    pinned = re.findall(r"^[\w.-]+==\S+.*\n((?:    --hash=\S+.*\n?)+)", text, re.MULTILINE)

    assert len(pinned) == len(re.findall(r"^\w", text, re.MULTILINE))
    assert "://" not in text
    assert "index-url" not in text


def test_no_module_is_named_for_nothing() -> None:
    """A thing that fits no noun of the field is a missing noun."""
    names = {part for path in MODULES for part in path.relative_to(PACKAGE).with_suffix("").parts}

    assert names & VAGUE_NAMES == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_say_what_lives_in_them_and_hold_no_leftovers(module: Path) -> None:
    """The first line answers what a reader asks first; unfinished thoughts belong in an issue."""
    text = module.read_text()

    assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert re.findall(r"\b(?:TODO|FIXME|XXX|HACK)\b", text) == []


def test_exemptions_from_rules_name_rule_and_reason() -> None:
    """An exemption that nobody can judge stays for ever."""
    bare = [
        f"{path.relative_to(PROJECT)}:{number}"
        for path in [*MODULES, *PROJECT.glob("tests/**/*.py")]
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(r"# (?:noqa|type: ignore)(?!: ?[A-Z]+\d|\[[a-z-]+\])", line)
        and path != Path(__file__)
    ]

    assert bare == []


def test_test_files_have_unique_names() -> None:
    """A failure names its file; two of one name would send the reader to the wrong one."""
    names = [path.name for path in PROJECT.glob("tests/**/test_*.py")]

    assert sorted(names) == sorted(set(names))


def test_errors_know_neither_errno_nor_exit_codes() -> None:
    """Below the edges an error is a fact; what it is called outside is decided there."""
    numbers = re.compile(r"\b(?:import errno|from errno|errno\.E[A-Z]+|sys\.exit)\b")
    inner = [
        path
        for path in MODULES
        if path.relative_to(PACKAGE).parts[0] in {"errors.py", "rules", "engine"}
    ]

    assert [str(path) for path in inner if numbers.search(path.read_text())] == []


def test_the_licence_is_the_one_that_is_declared() -> None:
    """The text and the name in the package agree."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())

    assert project["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (PROJECT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in (PROJECT / "LICENSE").read_text()


@pytest.mark.skipif(not (PROJECT / ".git").exists(), reason="no clone: there is no list of files")
def test_nothing_that_is_built_is_in_the_repository() -> None:
    """Whoever clones it would carry every package that was ever built."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    large = [
        name
        for name in listed
        if (PROJECT / name).is_file() and (PROJECT / name).stat().st_size > FILE_BYTES_MAX
    ]

    assert large == []
