"""Rules change while very much has still to be told: in steps, with turns in between."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from s3fs_local.control.requests import ChangeReplication, ChangeSetting, RemoveReplication
from s3fs_local.engine.replication import TASKS_A_STEP
from s3fs_local.metadata.changes import Change, PutTask, RemoveTask
from s3fs_local.rules.replication import UNDECIDED, Task
from tests.regions import make_regions
from tests.replication_rules import document, rule
from tests.store_on_disk import StoreOnDisk, opened

MANY = 10 * TASKS_A_STEP


@asynccontextmanager
async def much_pending(tmp_path: Path, destination: str) -> AsyncIterator[StoreOnDisk]:
    """A store that has to tell the destination of very many versions of one file."""
    here, _ = make_regions(tmp_path)
    async with opened(here) as disk:
        disk.write("f", b"x")
        ino = disk.stat("f").ino
        volume = disk.fs.volume
        tasks = [Task(destination, ino, stamp, 1, stamp, 9, "all") for stamp in range(1, MANY)]
        volume.durability.apply([PutTask(task) for task in tasks])
        yield disk


class Steps:
    """What is applied meanwhile, and how often others have their turn."""

    def __init__(self, disk: StoreOnDisk) -> None:
        self._apply = disk.fs.volume.durability.apply
        self.turns = 0
        self.turns_at_step: list[int] = []
        self.largest = 0
        object.__setattr__(disk.fs.volume.durability, "apply", self.apply)

    def apply(self, changes: Sequence[Change], *, ended_draft: int = 0) -> None:
        """As it would."""
        tasks = sum(isinstance(change, PutTask | RemoveTask) for change in changes)
        if tasks:
            self.turns_at_step.append(self.turns)
            self.largest = max(self.largest, tasks)
        self._apply(changes, ended_draft=ended_draft)

    async def count_turns(self) -> None:
        """Somebody else who would like to do something."""
        while True:
            self.turns += 1
            await trio.lowlevel.checkpoint()

    @property
    def most_at_a_time(self) -> int:
        """Steps between two turns of others."""
        return max(self.turns_at_step.count(turn) for turn in self.turns_at_step)


async def test_rules_that_are_deleted_are_forgotten_step_by_step(tmp_path: Path) -> None:
    """A program that saves a file meanwhile must not wait for a million rows."""
    async with much_pending(tmp_path, "west") as disk:
        steps = Steps(disk)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(steps.count_turns)
            await disk.ask(RemoveReplication())
            nursery.cancel_scope.cancel()

        assert disk.fs.volume.metadata.backlog() == []
        assert steps.largest <= 2
        assert steps.most_at_a_time <= 2 * TASKS_A_STEP


async def test_new_rules_decide_what_was_before_step_by_step(tmp_path: Path) -> None:
    """By the rules that were in force then; and then the new ones are in force."""
    async with much_pending(tmp_path, UNDECIDED) as disk:
        steps = Steps(disk)
        await disk.ask(ChangeSetting("remotes", f"west={tmp_path / 'west' / 'store'}"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(steps.count_turns)
            await disk.ask(ChangeReplication(document(rule(ID="other"))))
            nursery.cancel_scope.cancel()

        assert disk.fs.volume.metadata.tasks(UNDECIDED, 9) == []
        assert [r.rule_id for r in disk.fs.replication.rules] == ["other"]
        assert steps.largest <= 2 * TASKS_A_STEP
        assert steps.most_at_a_time <= 2


async def test_what_a_killed_command_left_is_forgotten_by_the_worker(tmp_path: Path) -> None:
    """The rules were gone with its first step; the rest is nobody's."""
    async with much_pending(tmp_path, "west") as disk:
        disk.fs.replication.delete()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(disk.store.following.run)
            with trio.fail_after(240):
                while disk.fs.volume.metadata.backlog():  # noqa: ASYNC110 - nobody tells
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
