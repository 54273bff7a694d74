"""Commands that change a store's settings, keys, zones or locks, each on a store made for it.

Each is given in words, as a person types it, and says what may be answered if it is given again
after it was killed: where it had come to its end then, or nearly.
"""

import json
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from s3fs_local.control.requests import (
    AddKey,
    ChangeEncryption,
    ChangeLifecycle,
    ChangeReplication,
    ChangeSetting,
    Protect,
    RotateKey,
    SetKeyState,
    SetLegalHold,
    SetRetention,
)
from s3fs_local.daemon.receiving import make_room
from s3fs_local.daemon.store_file import STORE_FILE_NAME
from s3fs_local.system.immutable_files import set_immutable
from tests.keyring_backend import FILE_VARIABLE, FileKeyring
from tests.mounting import COMMAND, s3fs_local
from tests.mounting import run as run_program
from tests.replication_rules import document
from tests.store_on_disk import OWNER, StoreOnDisk, make_store, opened

ZONES: Final = 3
UNTIL: Final = "2037-01-31T00:00:00Z"
SIZES: Final = (0, 100, 5000, 70_000)
PASSPHRASES: Final = ("the first", "the second")
AGED: Final = {
    "Rules": [
        {
            "ID": "end",
            "Status": "Enabled",
            "Filter": {"Prefix": "aged/"},
            "Expiration": {"Date": "2020-01-01T00:00:00Z"},
        },
        {
            "ID": "colder",
            "Status": "Enabled",
            "Filter": {"Prefix": "plain/"},
            "Transitions": [{"Date": "2020-01-01T00:00:00Z", "StorageClass": "STANDARD_IA"}],
        },
    ]
}
ENCRYPTION: Final = {
    "Rules": [
        {
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms",
                "KMSMasterKeyID": "mail",
            }
        }
    ]
}
LOCK_BY_DEFAULT: Final = {
    "ObjectLockEnabled": "Enabled",
    "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}},
}


class Site:
    """Where a store, its zones and what belongs to it lie; all but the mount below one folder."""

    def __init__(self, folder: Path) -> None:
        self.disk = folder / "disk"
        self.store = self.disk / "store"
        self.zones = [self.disk / f"zone-{number}" for number in range(ZONES)]
        self.spare = self.disk / "zone-spare"
        self.west = self.disk / "west"
        self.sheet = self.disk / "sheet"
        self.mount = folder / "mount"
        self.inputs = folder / "inputs"
        self.environment = {
            "PYTHON_KEYRING_BACKEND": f"{FileKeyring.__module__}.{FileKeyring.__name__}",
            FILE_VARIABLE: str(self.disk / "keyring.json"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        self.contents: dict[str, bytes] = {}
        for place in (self.disk, self.mount, self.inputs):
            place.mkdir()
        for number, text in enumerate(PASSPHRASES):
            (self.inputs / f"passphrase-{number}").write_text(f"{text}\n")

    def input(self, name: str, document: object) -> Path:
        """A file with the document."""
        path = self.inputs / name
        path.write_text(json.dumps(document))
        return path

    def passphrase(self, number: int) -> Path:
        """A file with a passphrase."""
        return self.inputs / f"passphrase-{number}"

    def write(self, disk: StoreOnDisk, name: str, content: bytes) -> None:
        """The file has a content that is expected from now on."""
        folder = name.rpartition("/")[0]
        if folder and disk.fs.volume.metadata.lookup(*disk.place(folder)) is None:
            disk.fs.mkdir(*disk.place(folder), 0o40755, OWNER)
        disk.write(name, content)
        self.contents[name] = content


Words = Callable[[Site], Sequence[str | Path]]
Prepare = Callable[[Site, StoreOnDisk], Awaitable[None]]


async def nothing(_site: Site, _disk: StoreOnDisk) -> None:
    """The store is as it is made."""


def nothing_beside(_site: Site) -> None:
    """Beside the store nothing is changed."""


def not_obeyed(_site: Site, _words: str) -> bool:
    """Whether somebody did what the words of an error ask for: nobody does."""
    return False


class Command(NamedTuple):
    """One command and what it is given to."""

    name: str
    words: Words
    prepare: Prepare = nothing
    first: Callable[[Site], None] = nothing_beside  # before that
    beside: Callable[[Site], None] = nothing_beside  # after it: the store is closed then
    fills: Callable[[Site], Awaitable[None]] | None = None  # instead of `fill` and `prepare`
    again: str = ""  # how an error begins that a second time may have, where the first was enough
    obeys: Callable[[Site, str], bool] = not_obeyed
    is_gradual: bool = False  # a part of it may be done
    counts_on: bool = False  # given again it does something more
    opens: Sequence[int | None] = (None,)  # by which passphrase; None: by what lies in the store
    is_mounted: bool = True  # whether it can be given to a mounted store, too
    needs_mount: bool = False  # and to no other
    makes: bool = False  # there is no store before it
    damages: bool = False  # a zone lacks something until it is done
    has_locks: bool = True  # whether files in the store can be, and some are, locked


def given(*words: str) -> Words:
    """A command and the store, and what comes after it: `"key", "rotate", "STORE", …`."""

    def typed(site: Site) -> Sequence[str | Path]:
        places = {
            "STORE": site.store,
            "ZONE": site.zones[1],
            "SPARE": site.spare,
            "SHEET": site.sheet,
            "FIRST": site.passphrase(0),
            "SECOND": site.passphrase(1),
        }
        return [places.get(word, word.replace("STORE:", f"{site.store}:")) for word in words]

    return typed


def with_document(content: object, *words: str) -> Words:
    """The same, and a file with a document."""

    def typed(site: Site) -> Sequence[str | Path]:
        return [*given(*words)(site), site.input(f"{words[1]}.json", content)]

    return typed


def setting(name: str, value: str) -> Command:
    """`config set`."""
    return Command(f"config set {name}", given("config", "set", "STORE", name, value))


async def two_versions(_: Site, disk: StoreOnDisk) -> None:
    """There is something to rewrap."""
    await disk.ask(RotateKey("store"))


async def disabled(_: Site, disk: StoreOnDisk) -> None:
    """A key is disabled."""
    await disk.ask(AddKey("other"))
    await disk.ask(SetKeyState("other", enabled=False))


async def other_key(_: Site, disk: StoreOnDisk) -> None:
    """There is a key that wraps nothing yet."""
    await disk.ask(AddKey("other"))


async def with_rules(_: Site, disk: StoreOnDisk) -> None:
    """There are lifecycle rules, which have work to do."""
    await disk.ask(ChangeLifecycle(json.dumps(AGED).encode()))


async def by_mail(_: Site, disk: StoreOnDisk) -> None:
    """What is new is encrypted by another key."""
    await disk.ask(
        ChangeEncryption(json.dumps({"ServerSideEncryptionConfiguration": ENCRYPTION}).encode())
    )


def by_passphrase(site: Site) -> None:
    """Only a passphrase opens the store."""
    s3fs_local(
        "key", "passphrase", site.store, "--only", "--new-passphrase-file", site.passphrase(0)
    )


def in_keyring(site: Site) -> None:
    """The keyring has what opens the store."""
    command = ("key", "keyring", site.store)
    run_program(*COMMAND, *command, environment=site.environment)


def with_sheet(site: Site) -> None:
    """There is an earlier recovery key."""
    s3fs_local("key", "recovery", site.store, site.inputs / "earlier-sheet")


def sheet_moved(site: Site, words: str) -> bool:
    """See `not_obeyed`: the sheet that is there is moved away."""
    if "move it away" not in words:
        return False
    site.sheet.rename(site.inputs / "moved-sheet")
    return True


def with_west(site: Site) -> None:
    """There is another region."""
    s3fs_local("init", site.west)


async def named_west(site: Site, disk: StoreOnDisk) -> None:
    """The store has heard of another region, to come."""
    await disk.ask(ChangeSetting("remotes", f"west={site.west}"))


async def ruled_west(site: Site, disk: StoreOnDisk) -> None:
    """And has rules for it."""
    await named_west(site, disk)
    await disk.ask(ChangeReplication(document()))


def emptied(site: Site) -> None:
    """A zone is a new and empty disk."""
    shutil.rmtree(site.zones[1])
    site.zones[1].mkdir()


def rotten(site: Site) -> None:
    """A byte of each pack in one zone is wrong."""
    for pack in site.zones[1].glob("packs/*/*.pack"):
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        set_immutable(pack, wanted=False)
        pack.write_bytes(data)


def clear_as_told(site: Site, words: str) -> bool:
    """See `not_obeyed`: what a killed `init` has left is removed."""
    told = re.search("if an init that named it was ended, remove (.*)$", words, re.MULTILINE)
    if told is None:
        return False
    left = Path(told[1])
    shutil.rmtree(left)
    for zone in site.zones:
        if not (site.store / STORE_FILE_NAME).exists() and zone.exists():
            shutil.rmtree(zone)
    return True


async def followed(site: Site) -> None:
    """The store is a replica of another one, which is gone since."""
    east = site.disk / "east"
    make_store(east, [])
    async with opened(east) as disk:
        await disk.ask(ChangeSetting("remotes", f"west={site.store}"))
        await disk.ask(ChangeReplication(document()))
        for number, size in enumerate(SIZES):
            site.write(disk, f"plain/{number}", os.urandom(size))
        await disk.store.following.drain()
    make_room(site.store)
    shutil.rmtree(east)
    (site.disk / "recovery.key").unlink()


def made(site: Site) -> Sequence[str | Path]:
    """`init`, in new directories."""
    zones = [word for zone in site.zones for word in ("--zone", zone)]
    return ["init", site.store, "--object-lock", *zones]


NOT_ASKED: Final = "--yes"
COMMANDS: Final = (
    Command(
        "init",
        made,
        again="store is not empty",
        obeys=clear_as_told,
        makes=True,
        is_mounted=False,
    ),
    Command(
        "umount",
        lambda site: ["umount", site.mount],
        again="no store is mounted at",
        needs_mount=True,
    ),
    Command("key rotate", given("key", "rotate", "STORE"), counts_on=True),
    Command("key rewrap", given("key", "rewrap", "STORE"), two_versions, is_gradual=True),
    Command(
        "key rewrap --forget-old",
        given("key", "rewrap", "STORE", "--forget-old", NOT_ASKED),
        two_versions,
        is_gradual=True,
    ),
    Command("key add", given("key", "add", "STORE", "other"), again="is there already"),
    Command("key disable", given("key", "disable", "STORE", "other", NOT_ASKED), other_key),
    Command("key enable", given("key", "enable", "STORE", "other"), disabled),
    Command("key keyring", given("key", "keyring", "STORE"), counts_on=True),
    Command(
        "key keyring, anew", given("key", "keyring", "STORE"), beside=in_keyring, counts_on=True
    ),
    Command(
        "key passphrase",
        given("key", "passphrase", "STORE", "--new-passphrase-file", "FIRST"),
    ),
    Command(
        "key passphrase --only",
        given("key", "passphrase", "STORE", "--only", "--new-passphrase-file", "FIRST"),
        opens=(None, 0),
    ),
    Command(
        "key passphrase, another",
        given("key", "passphrase", "STORE", "--new-passphrase-file", "SECOND"),
        beside=by_passphrase,
        opens=(0, 1),
    ),
    Command(
        "key recovery",
        given("key", "recovery", "STORE", "SHEET"),
        again="is not written over",
        obeys=sheet_moved,
    ),
    Command(
        "key recovery, anew",
        given("key", "recovery", "STORE", "SHEET"),
        beside=with_sheet,
        again="is not written over",
        obeys=sheet_moved,
    ),
    Command(
        "zone add", given("zone", "add", "STORE", "SPARE"), again="is a zone of the store already"
    ),
    Command(
        "zone remove",
        given("zone", "remove", "STORE", "ZONE", NOT_ASKED),
        again="is no zone of the store",
    ),
    Command("zone repair", given("zone", "repair", "STORE", "ZONE"), beside=emptied, damages=True),
    Command(
        "fsck --repair",
        given("fsck", "STORE", "--repair"),
        beside=rotten,
        damages=True,
        is_mounted=False,
    ),
    setting("write-quorum", "3"),
    setting("storage-classes", "GLACIER_IR:shares=2+1,zones=hot,zstd=0"),
    setting("default-class", "STANDARD_IA"),
    setting("governance-bypass", "permanently-disabled"),
    setting("immutable-packs", "off"),
    setting("versioning", "Suspended")._replace(has_locks=False),
    Command(
        "bucket versioning put",
        with_document({"Status": "Suspended"}, "bucket", "versioning", "put", "STORE"),
        has_locks=False,
    ),
    Command("bucket lifecycle put", with_document(AGED, "bucket", "lifecycle", "put", "STORE")),
    Command("bucket lifecycle delete", given("bucket", "lifecycle", "delete", "STORE"), with_rules),
    Command(
        "bucket object-lock put",
        with_document(LOCK_BY_DEFAULT, "bucket", "object-lock", "put", "STORE"),
    ),
    Command("bucket object-lock delete", given("bucket", "object-lock", "delete", "STORE")),
    Command(
        "bucket encryption put", with_document(ENCRYPTION, "bucket", "encryption", "put", "STORE")
    ),
    Command("bucket encryption delete", given("bucket", "encryption", "delete", "STORE"), by_mail),
    Command(
        "bucket replication put",
        with_document(json.loads(document()), "bucket", "replication", "put", "STORE"),
        named_west,
        first=with_west,
    ),
    Command(
        "bucket replication delete",
        given("bucket", "replication", "delete", "STORE"),
        ruled_west,
        first=with_west,
    ),
    Command(
        "lifecycle run", given("lifecycle", "run", "STORE", NOT_ASKED), with_rules, is_gradual=True
    ),
    Command(
        "protect",
        given("protect", "STORE:/plain", "--mode", "compliance", "--for", "30d"),
    ),
    Command(
        "retention set",
        given("retention", "set", "compliance", UNTIL, "STORE:/plain/0", "STORE:/locked/0"),
        is_gradual=True,
    ),
    Command(
        "retention clear",
        given(
            *("retention", "clear", "STORE:/locked/0", "--bypass-governance"),
            *("--reason", "by the court"),
        ),
    ),
    Command(
        "legal-hold set",
        given(
            *("legal-hold", "set", "STORE:/plain/0", "STORE:/plain/1"),
            *("--case", "other", "--reason", "asked to"),
        ),
        is_gradual=True,
    ),
    Command(
        "legal-hold clear",
        given("legal-hold", "clear", "STORE:/held/0", "--case", "mine", "--reason", "settled"),
        again="no legal hold for case 'mine'",
    ),
    Command(
        "promote",
        given("promote", "STORE", "--force", NOT_ASKED),
        fills=followed,
        again="is no replica",
    ),
)


async def fill(site: Site, disk: StoreOnDisk, *, has_locks: bool) -> None:
    """Files of all kinds, with some past; a key of its own for some."""
    await disk.ask(AddKey("mail"))
    for folder in ("plain", "aged", "locked", "held"):
        for number, size in enumerate(SIZES):
            site.write(disk, f"{folder}/{number}", os.urandom(size))
            site.write(disk, f"{folder}/{number}", os.urandom(size))
    await by_mail(site, disk)
    site.write(disk, "plain/mail", b"wrapped by another key")
    await disk.ask(ChangeEncryption(None))
    if has_locks:
        await disk.ask(SetRetention((b"locked/0", b"locked/1"), "GOVERNANCE", UNTIL))
        await disk.ask(SetLegalHold((b"held/0",), "mine", "asked to"))
        await disk.ask(Protect(b"locked", "GOVERNANCE", "1d"))
    await disk.sync()
