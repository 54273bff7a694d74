"""What a store says and holds, read in a process of its own; and two such readings compared."""

import multiprocessing
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import trio

from s3fs_local import errors
from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.main import run as run_words
from s3fs_local.control.requests import (
    CollectGarbage,
    DescribeEncryption,
    DescribeLifecycle,
    DescribeObjectLock,
    DescribeReplication,
    DescribeReplicationStatus,
    DescribeSettings,
    DescribeVersioning,
    ListKeys,
    ListLegalHolds,
    ListVersions,
    Request,
    Scrub,
    Verify,
)
from s3fs_local.daemon.one_command import run_one_command  # noqa: F401  imported before the forks
from s3fs_local.daemon.store_file import read_store_file
from s3fs_local.daemon.unlocking import Unlocking, from_keyring, read_passphrase
from tests.campaigns.admin_commands import Command, Site
from tests.campaigns.line import Failed
from tests.store_on_disk import StoreOnDisk, opened, wait_until_well

SECONDS_MAX: Final = 120.0
Reading = dict[str, str]
"""What a store says of itself, by what was asked."""

DOCUMENTS: Final[Sequence[Request]] = (
    DescribeVersioning(),
    DescribeLifecycle(),
    DescribeReplication(),
    DescribeObjectLock(),
    DescribeEncryption(),
)
OPENED_BY: Final = "opened by"
NOT_COMPARED: Final = ("Owner", "ReplicationStatus")
"""Of a version: another region may be told of it at any time."""
_COUNTED: Final = re.compile(r"[0-9a-f]{6,}|\d+")


class Answered(NamedTuple):
    """How a command ended."""

    code: int
    words: str


def apart(function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401  of the function
    """What it returns, in a process that ends with it. Raises Failed with what it raised."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)

    def work() -> None:
        try:
            there.send((function(*arguments), None))
        except BaseException as error:  # noqa: BLE001  told to whoever asked
            there.send((None, f"{type(error).__name__}: {_causes(error)}"))

    process = context.Process(target=work)
    process.start()
    there.close()
    try:
        if not here.poll(SECONDS_MAX):
            raise Failed(f"{function.__name__} does not end")
        value, why = here.recv()
    except EOFError:
        raise Failed(f"{function.__name__} died") from None
    finally:
        here.close()
        process.kill()  # all that it had to say was said
        process.join()
    if why is not None:
        raise Failed(why)
    return value


def _causes(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_causes(each) for each in error.exceptions)
    return str(error) or repr(error)


def opener(site: Site, number: int | None) -> Unlocking:
    """A passphrase; or what lies in the store, or in the keyring."""
    if number is not None:
        return Unlocking(passphrase=read_passphrase(site.passphrase(number)))
    record = read_store_file(site.store)
    return from_keyring(record.store_id) if record.keyring else Unlocking()


def read(site: Site, command: Command, *, scrubs: bool = False) -> tuple[Reading, int]:
    """What it names opens it, and it says this; and what a scrub mended. Raises Failed."""
    record = read_store_file(site.store)
    has_opener = bool(record.key_file or record.keyring)
    why = "it names nothing"
    for number in [number for number in command.opens if (number is None) == has_opener]:
        try:
            return trio.run(partial(_read, site, command, opener(site, number), scrubs=scrubs))
        except errors.WrongKey as error:
            why = error.args[0]
    raise Failed(f"what the store names does not open it: {why}")


async def _read(
    site: Site, command: Command, unlocking: Unlocking, *, scrubs: bool
) -> tuple[Reading, int]:
    async with opened(site.store, unlocking) as disk:
        if not command.damages:
            await wait_until_well(disk, 30)
        mended = await _scrubbed(disk) if scrubs else 0
        if not command.damages:
            verified = await disk.ask(Verify(reads_all=scrubs))
            if not verified["Intact"]:
                raise Failed(str(verified["Discrepancies"]))
        return await _told(site, disk), mended


async def _scrubbed(disk: StoreOnDisk) -> int:
    """How many pieces were mended; a second scrub finds nothing. Raises Failed."""
    await disk.ask(CollectGarbage())  # and what killed writes left in zones, as the next mount does
    first = await disk.ask(Scrub(checks_metadata=True))
    second = await disk.ask(Scrub(mends=False)) if first["Damaged"] else first
    if first["Metadata"] or second["Damaged"]:
        raise Failed(f"a scrub finds {first['Metadata']} {second['Damaged']}")
    return len(first["Damaged"])


async def _told(site: Site, disk: StoreOnDisk) -> Reading:
    told: Reading = {}
    for request in DOCUMENTS:
        try:
            told[type(request).__name__] = repr(await disk.ask(request))
        except errors.S3fsLocalError as error:
            told[type(request).__name__] = type(error).__name__
    holds = (await disk.ask(ListLegalHolds()))["LegalHolds"]
    told["holds"] = repr(sorted((row["Key"], row["VersionId"], row["Case"]) for row in holds))
    for row in (await disk.ask(DescribeSettings()))["Settings"]:
        told[f"setting {row['Name']}"] = row["Value"]
    keys = await disk.ask(ListKeys())
    told[OPENED_BY] = " ".join(keys["OpenedBy"])
    for key in keys["Keys"]:
        told[f"key {key['Name']}"] = repr(
            [(version["Version"], version["State"]) for version in key["Versions"]]
        )
        told[f"wrapped by {key['Name']}"] = repr([v["DataKeys"] for v in key["Versions"]])
    record = read_store_file(site.store)
    told["opener"] = f"{record.key_file} {record.keyring}"
    told["zones"] = repr(sorted(f"{zone.kind} {zone.url}" for zone in record.zones))
    told["role"] = repr((await disk.ask(DescribeReplicationStatus())).get("Source"))
    for folder in {name.rpartition("/")[0] for name in site.contents} - {""}:
        inode = disk.stat(folder)
        told[f"attributes of {folder}"] = repr((inode.xattrs, inode.protected_until_ns))
    for name, content in site.contents.items():
        rows = (await disk.ask(ListVersions(name.encode())))["Versions"]
        told[f"file {name}"] = repr(
            [{key: row[key] for key in row if key not in NOT_COMPARED} for row in rows]
        )
        is_latest = rows and rows[0]["IsLatest"]
        if is_latest and await disk.read(name) != content:
            raise Failed(f"{name} has not the content that was written")
        if not is_latest and not name.startswith("aged/"):
            raise Failed(f"{name} is gone")
    return told


def killed(site: Site, command: Command, before: Reading, after: Reading) -> tuple[list[str], int]:
    """What is wrong with a store in which the command died, and how much was mended. Raises Failed.

    It is what it was or what it becomes, and the command can be given again.
    """
    try:
        first = read(site, command)[0]
    except errors.NotAStore:  # not made yet
        first = {}
    opens, opened_before, opens_after = (
        set(reading.get(OPENED_BY, "").split()) for reading in (first, before, after)
    )
    if opens <= opened_before | opens_after:  # both do for a while: nobody is locked out
        first |= {OPENED_BY: after[OPENED_BY]}
        before = before | {OPENED_BY: after[OPENED_BY]}
    wrong = differences(first, before, after, gradual=command.is_gradual)
    answered = typed(site, command)
    if answered.code and command.obeys(site, answered.words):
        answered = typed(site, command)
    wrong += refusals(command, answered)
    second, mended = read(site, command._replace(damages=False), scrubs=True)
    if not command.counts_on:
        unlike = differences(second, after, after, gradual=False)
        wrong.extend(f"given again: {each}" for each in unlike)
    return wrong, mended


def refusals(command: Command, answered: Answered) -> list[str]:
    """What is wrong with the answer, if it was given again."""
    if not answered.code or (command.again and command.again in answered.words):
        return []
    return [f"given again: exit {answered.code} {answered.words}"]


def typed(site: Site, command: Command) -> Answered:
    """What the command answers a person who tries what may open the store."""
    for number in command.opens:
        by = [] if number is None else ["--passphrase-file", str(site.passphrase(number))]
        answered = _typed([*by, *map(str, command.words(site))])
        if answered.code != ExitCode.WRONG_KEY:
            break
    return answered


def _typed(words: list[str]) -> Answered:
    with tempfile.TemporaryFile() as said:
        for end in (1, 2):
            os.dup2(said.fileno(), end)
        code = run_words(words)
        said.seek(0)
        return Answered(code, said.read().decode(errors="replace"))


def differences(state: Reading, before: Reading, after: Reading, *, gradual: bool) -> list[str]:
    """What is neither as it was nor as it becomes; or a part this and a part that."""
    wrong, old, new = [], [], []
    for key in sorted({*state, *before, *after}):
        found, was, becomes = state.get(key), before.get(key), after.get(key)
        if was == becomes:
            if found != was:
                wrong.append(f"{key} was {was}, and is {found}")
        elif found == was:
            old.append(key)
        elif found == becomes:
            new.append(key)
        elif not gradual:
            wrong.append(f"{key} was {was}, becomes {becomes}, and is {found}")
    if old and new and not gradual:
        wrong.append(f"as before: {', '.join(old)}; changed: {', '.join(new)}")
    return wrong


def names(folder: Path) -> Counter[str]:
    """Which kinds of files lie there, and how many of each: numbers and ids are left out.

    But for what another region has, whose process ends when it likes.
    """
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    found = (path for path in files if path.parts[0] != "west")
    return Counter(_COUNTED.sub("N", str(path)) for path in found)
