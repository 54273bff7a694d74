"""Commands about locks, carried out on a store in memory, as root and as the owner of a file."""

from typing import Final

import pytest
import trio
import trio.testing
from msgspec import structs

from s3fs_local import errors
from s3fs_local.control.commands import carry_out
from s3fs_local.control.context import Context
from s3fs_local.control.requests import (
    ChangeObjectLock,
    ChangeSetting,
    ClearLegalHold,
    ClearRetention,
    DescribeObjectLock,
    DescribeRetention,
    Explain,
    Protect,
    Purge,
    Request,
    Restore,
    SetAppendOnly,
    SetLegalHold,
    SetRetention,
)
from s3fs_local.rules.inode import Caller
from tests.control.test_commands_on_a_store import Collector, ask, no_status
from tests.engine.memory_store import ALICE, ROOT, MemoryStore

DAY_S: Final = 86_400
DEFAULT: Final = {
    "ObjectLockEnabled": "Enabled",
    "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}},
}
DOCUMENT: Final = (
    b'{"ObjectLockEnabled": "Enabled",'
    b' "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}}}'
)


@pytest.fixture
def store() -> MemoryStore:
    """/d/locked is under COMPLIANCE, /d/governed under GOVERNANCE, /d/held by root for a case."""
    made = MemoryStore(object_lock="true")
    made.mkdir("/d")
    for name in ("locked", "governed", "held", "free"):
        made.write(f"/d/{name}", b"older")
        made.write(f"/d/{name}", b"one")
    ask(made, SetRetention((b"d/locked",), mode="compliance", until="30d"))
    ask(made, SetRetention((b"d/governed",), mode="governance", until="30d"))
    ask(made, SetLegalHold((b"d/held",), case="17", reason="court"), ROOT)
    return made


# What somebody asks for, and the error that comes of it for root, and for the owner.
REFUSED: Final[dict[str, tuple[Request, type[Exception], type[Exception]]]] = {
    "clear COMPLIANCE": (ClearRetention(b"d/locked"), errors.Protected, errors.Protected),
    "clear COMPLIANCE with a bypass": (
        ClearRetention(b"d/locked", bypass_governance=True, reason="please"),
        errors.Protected,
        errors.Protected,
    ),
    "clear GOVERNANCE": (ClearRetention(b"d/governed"), errors.Protected, errors.Protected),
    "clear GOVERNANCE without a reason": (
        ClearRetention(b"d/governed", bypass_governance=True, reason=" "),
        errors.BypassNotPermitted,
        errors.BypassNotPermitted,
    ),
    "shorten": (
        SetRetention((b"d/locked",), mode="compliance", until="1d"),
        errors.Protected,
        errors.Protected,
    ),
    "weaken": (
        SetRetention((b"d/locked",), mode="governance", until="60d"),
        errors.Protected,
        errors.Protected,
    ),
    "shorten with a bypass": (
        SetRetention(
            (b"d/locked",), mode="compliance", until="1d", bypass_governance=True, reason="x"
        ),
        errors.Protected,
        errors.Protected,
    ),
    "a date in the past": (
        SetRetention((b"d/locked",), mode="compliance", until="2001-01-01"),
        errors.InvalidRetention,
        errors.InvalidRetention,
    ),
    "300 digits": (
        SetRetention((b"d/locked",), mode="compliance", until="9" * 300 + "y"),
        errors.InvalidRetention,
        errors.InvalidRetention,
    ),
    "purge COMPLIANCE": (
        Purge(b"d/locked", version="CURRENT"),
        errors.Protected,
        errors.Protected,
    ),
    "purge COMPLIANCE with a bypass": (
        Purge(b"d/locked", version="CURRENT", bypass_governance=True, reason="x"),
        errors.Protected,
        errors.Protected,
    ),
    "purge GOVERNANCE": (
        Purge(b"d/governed", version="CURRENT"),
        errors.Protected,
        errors.Protected,
    ),
    "purge what is held with a bypass": (
        Purge(b"d/held", version="CURRENT", bypass_governance=True, reason="x"),
        errors.Protected,
        errors.Protected,
    ),
    "lift a hold of another case": (
        ClearLegalHold((b"d/held",), case="18", reason="x"),
        errors.InvalidArgument,
        errors.InvalidArgument,
    ),
    "append-only": (SetAppendOnly((b"d/locked",)), errors.Protected, errors.Protected),
    "weaker semantics": (
        Protect(b"d", mode="compliance", period="90y", semantics="s3"),
        errors.Protected,
        errors.Protected,
    ),
    "weaker semantics of the store": (
        ChangeSetting("lock-semantics", "s3"),
        errors.Protected,
        errors.Protected,
    ),
    "Object Lock off": (
        ChangeSetting("object-lock", "off"),
        errors.InvalidSetting,
        errors.InvalidSetting,
    ),
    "Suspended": (
        ChangeSetting("versioning", "Suspended"),
        errors.VersioningRequired,
        errors.VersioningRequired,
    ),
}
ONLY_BY_THE_OWNER: Final[dict[str, tuple[Request, type[Exception]]]] = {
    "clear GOVERNANCE with a bypass": (
        ClearRetention(b"d/governed", bypass_governance=True, reason="mine"),
        errors.BypassNotPermitted,
    ),
    "purge GOVERNANCE with a bypass": (
        Purge(b"d/governed", version="CURRENT", bypass_governance=True, reason="mine"),
        errors.BypassNotPermitted,
    ),
    "lift root's hold": (
        ClearLegalHold((b"d/held",), case="17", reason="mine"),
        errors.NotPermitted,
    ),
}
CASES: Final = [
    *[pytest.param(r, e, ROOT, id=f"{name}, as root") for name, (r, e, _) in REFUSED.items()],
    *[pytest.param(r, e, ALICE, id=f"{name}, as owner") for name, (r, _, e) in REFUSED.items()],
    *[pytest.param(r, e, ALICE, id=f"{n}, as owner") for n, (r, e) in ONLY_BY_THE_OWNER.items()],
]


@pytest.mark.parametrize(("request_", "error", "caller"), CASES)
def test_a_command_frees_nothing_that_is_locked(
    store: MemoryStore, request_: Request, error: type[Exception], caller: Caller
) -> None:
    """By the socket or without a daemon it is this code; all facts are as they were."""
    before = list(store.metadata.facts())
    if isinstance(request_, Purge):
        version = ask(store, DescribeRetention(request_.path))["Locks"][0]["VersionId"]
        request_ = structs.replace(request_, version=version)
    with pytest.raises(error):
        ask(store, request_, caller)

    assert list(store.metadata.facts()) == before
    assert store.read("/d/locked") == b"one"


@pytest.mark.parametrize(
    "request_",
    [
        SetRetention((b"notes",), mode="COMPLIANCE", until="7d"),
        SetLegalHold((b"notes",), case="7", reason="inquiry"),
    ],
)
def test_a_file_that_takes_the_name_while_writers_are_waited_for_is_not_called_locked(
    request_: Request,
) -> None:
    """An editor saves by a rename. The command that answers yes has locked what the name means."""
    store = MemoryStore(object_lock="true")
    store.write("notes", b"old")
    store.write("notes.tmp", b"new")
    writer = store.open("notes")

    async def save() -> None:
        await trio.testing.wait_all_tasks_blocked()
        store.rename("notes.tmp", "notes")
        store.close(writer)

    async def run() -> None:
        context = Context(filesystem=store.fs, caller=ALICE, outlet=Collector(), describe=no_status)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(save)
            with pytest.raises(errors.WriterActive, match="another file took the name"):
                await carry_out(request_, context)

    was = store.stat("notes").ino
    trio.run(run, clock=trio.testing.MockClock())
    assert store.stat("notes").lock is None
    assert store.fs.volume.inode(was).lock is not None


def test_a_restore_of_a_tree_leaves_what_is_locked(store: MemoryStore) -> None:
    """And says so for each; the rest comes back."""
    at = store.tick(0)
    store.tick(10)
    store.write("/d/free", b"two")
    answer = ask(store, Restore(b"d", at=str(at // 1_000_000_000)), ROOT)

    assert store.read("/d/free") in (b"one", b"older")
    assert store.read("/d/locked") == b"one"
    assert answer


def test_the_default_is_put_got_and_deleted(store: MemoryStore) -> None:
    """S3's document; what `get` prints can be put."""
    assert ask(store, DescribeObjectLock()) == {
        "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}
    }
    ask(store, ChangeObjectLock(DOCUMENT), ROOT)
    store.write("/new", b"one")

    assert ask(store, DescribeObjectLock()) == {"ObjectLockConfiguration": DEFAULT}
    lock = ask(store, DescribeRetention(b"new"))["Locks"][0]
    assert lock["ObjectLockMode"] == "GOVERNANCE"
    ask(store, ChangeObjectLock(b'{"ObjectLockEnabled": "Enabled"}'), ROOT)
    store.write("/newer", b"one")
    assert "ObjectLockMode" not in ask(store, DescribeRetention(b"newer"))["Locks"][0]


def test_the_document_switches_object_lock_on() -> None:
    """S3 allows that for a bucket with versioning since 2023; without, it is a conflict."""
    store = MemoryStore()
    with pytest.raises(errors.ObjectLockDisabled, match="ObjectLockConfigurationNotFoundError"):
        ask(store, DescribeObjectLock())
    ask(store, ChangeObjectLock(DOCUMENT), ROOT)
    assert store.fs.volume.settings.object_lock

    suspended = MemoryStore(versioning='"Suspended"')
    with pytest.raises(errors.VersioningRequired, match="Versioning must be 'Enabled'"):
        ask(suspended, ChangeObjectLock(DOCUMENT), ROOT)
    assert not suspended.fs.volume.settings.object_lock


def test_only_who_administers_the_store_gives_it_a_default(store: MemoryStore) -> None:
    """A default of a hundred years would be a weapon."""
    with pytest.raises(errors.NotPermitted):
        ask(store, ChangeObjectLock(DOCUMENT), Caller(uid=1001, gid=1001))


def test_a_bypass_that_was_given_up_never_comes_back(store: MemoryStore) -> None:
    """The terminal state of `governance-bypass`; before that it goes to and fro."""
    lift = ClearRetention(b"d/governed", bypass_governance=True, reason="please")
    for state in ("disabled", "permanently-disabled"):
        ask(store, ChangeSetting("governance-bypass", state), ROOT)
        with pytest.raises(errors.BypassNotPermitted):
            ask(store, lift, ROOT)
        if state == "disabled":
            ask(store, ChangeSetting("governance-bypass", "enabled"), ROOT)
    for state in ("enabled", "disabled"):
        with pytest.raises(errors.InvalidSetting, match="never taken back"):
            ask(store, ChangeSetting("governance-bypass", state), ROOT)


def test_protect_says_what_holds_then(store: MemoryStore) -> None:
    """Also what was not said, and is kept from before."""
    store.mkdir("/e")
    first = ask(
        store, Protect(b"e", mode="governance", period="1d", commit="quiet=10m", semantics="s3")
    )
    second = ask(store, Protect(b"e", mode="compliance", period="2d"))

    assert (first["Commit"], first["Semantics"]) == ("quiet=10m", "s3")
    assert (second["Mode"], second["Commit"], second["Semantics"]) == (
        *("COMPLIANCE", "quiet=10m", "s3"),
    )
    for weaker in ("quiet=20m", "chmod"):
        with pytest.raises(errors.InvalidArgument, match="which is sooner"):
            ask(store, Protect(b"e", mode="compliance", period="2d", commit=weaker))


def test_why_names_rule_end_who_may_and_an_example(store: MemoryStore) -> None:
    """From the gate's own answer; of a directory, one file that keeps it in place."""
    held = ask(store, Explain("rm", b"d/held"))
    governed = ask(store, Explain("purge", b"d/governed"))
    folder = ask(store, Explain("mv", b"d"))

    assert held["WhoMay"].startswith("nobody until the legal hold is cleared by its holder or root")
    assert held["Until"] == "no date is set"
    assert governed["Rule"].startswith("purge-version refused: GOVERNANCE retention until ")
    assert governed["WhoMay"] == (
        "root, and the store's bypass group, with --bypass-governance and a --reason"
    )
    assert folder["Rule"].startswith("move-ancestor refused: it holds protected files ")
    assert "; one is d/" in folder["Rule"]
    assert ask(store, Explain("rm", b"d/free"))["Allowed"]


def test_why_is_no_attempt_and_a_refused_command_is_one(store: MemoryStore) -> None:
    """Else everybody who asks first would stand in the record of refusals."""
    ask(store, Explain("rm", b"d/locked"))
    assert store.fs.refusals.count == 0
    with pytest.raises(errors.Protected):
        ask(store, ClearRetention(b"d/locked"), ROOT)

    assert store.fs.refusals.count == 1
