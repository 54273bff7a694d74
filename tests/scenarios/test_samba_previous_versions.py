"""What a Windows user sees under "Previous Versions", by a real smbd and smbclient."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.mounting import COMMAND, MountedStore, run

PAGE = Path(__file__).parent.parent.parent / "docs" / "samba.md"
MODULES = (*Path("/usr/lib").glob("*/samba/vfs/shadow_copy2.so"),)
SNAPSHOT = re.compile(r"^(@GMT-[0-9.-]+)$.*?^size: (\d+)$", re.MULTILINE | re.DOTALL)

pytestmark = [
    pytest.mark.mount,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="smbd must be root"),
    pytest.mark.skipif(
        not (shutil.which("smbd") and shutil.which("smbclient") and MODULES),
        reason="needs Samba with its modules: scripts/setup --tests",
    ),
]


def share_of_page(path: Path) -> str:
    """The share as the page shows it, at another path."""
    [share] = re.findall(r"```ini\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert "/srv/disk" in share
    return str(share).replace("/srv/disk", str(path))


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


class Share:
    """The share, for smbclient."""

    def __init__(self, configuration: Path, port: int) -> None:
        self._command = ("smbclient", "-s", configuration, "-N", "-p", str(port))

    def run(self, commands: str) -> str:
        """What smbclient prints, errors of the server included."""
        result = run(*self._command, "//127.0.0.1/disk", "-c", commands, check=False)
        return result.stdout + result.stderr

    def snapshots(self, path: str) -> list[tuple[str, int]]:
        """(name, size) of each previous version, the newest first."""
        found = SNAPSHOT.findall(self.run(f"allinfo {path}"))
        return [(name, int(size)) for name, size in found]


@contextmanager
def shared(mount: MountedStore, folder: Path) -> Iterator[Share]:
    """The mount is shared by an smbd of its own, to everybody on this machine."""
    state = folder / "state"
    state.mkdir()
    kinds = ("private dir", "lock directory", "state directory", "cache directory")
    port = free_port()
    lines = [
        "[global]",
        "server role = standalone server",
        f"smb ports = {port}",
        "interfaces = 127.0.0.1",
        "bind interfaces only = yes",
        "disable netbios = yes",
        "load printers = no",
        "map to guest = bad user",
        "guest account = root",
        f"log file = {state}/log",
        *(f"{kind} = {state}" for kind in (*kinds, "pid directory", "ncalrpc dir")),
        share_of_page(mount.path),
        "guest ok = yes",
    ]
    configuration = folder / "smb.conf"
    configuration.write_text("\n".join(lines))
    smbd = subprocess.Popen(
        ["smbd", "-F", "--no-process-group", "-s", configuration, "-l", state],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # at its end it signals its whole group
    )
    try:
        wait_until_it_listens(smbd, port)
        yield Share(configuration, port)
    finally:
        smbd.terminate()
        smbd.wait(20)


def wait_until_it_listens(server: "subprocess.Popen[bytes]", port: int) -> None:
    """Somebody accepts connections; the server must not end before."""
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            with suppress(subprocess.TimeoutExpired):
                server.wait(0.05)
        else:
            return
    raise AssertionError("smbd ended at once")


def wait_for_snapshot(directory: Path, second: int) -> None:
    """The list of snapshots has one of that second or later; it has whole seconds only."""
    name = f"@GMT-{datetime.fromtimestamp(second, UTC):%Y.%m.%d-%H.%M.%S}"
    while max(os.listdir(directory / ".versions" / "@snapshots"), default="") < name:
        pass  # the next second comes by itself


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Share]]:
    """A shared folder with a letter that was written twice, and another that was deleted."""
    base = tmp_path_factory.mktemp("samba")
    (base / "mount").mkdir()
    run(*COMMAND, "init", base / "store")
    mount = MountedStore(base / "store", base / "mount", ["allow_other"])
    try:
        mount.mount()
        folder = mount.path / "letters"
        folder.mkdir()
        for content in ("one", "second"):
            (folder / "a.txt").write_text(content)
            (folder / "gone.txt").write_text(content)
            changed_ns = (folder / "gone.txt").stat().st_ctime_ns
            wait_for_snapshot(folder, -(-changed_ns // 10**9))
        (folder / "gone.txt").unlink()
        wait_for_snapshot(folder, -(-folder.stat().st_mtime_ns // 10**9))
        with shared(mount, base) as share:
            yield folder, share
    finally:
        mount.clean_up()


def test_previous_versions_of_a_file_are_listed_with_their_sizes(
    letters: tuple[Path, Share],
) -> None:
    """The dialog of the Explorer, as smbclient shows it: `second`, then `one`."""
    _, share = letters
    sizes = [size for _, size in share.snapshots("letters/a.txt")]

    assert set(sizes) == {len("second"), len("one")}
    assert sizes == sorted(sizes, reverse=True)


def test_a_previous_version_is_fetched(letters: tuple[Path, Share], tmp_path: Path) -> None:
    """What "Copy" in the dialog does."""
    _, share = letters
    oldest, _ = share.snapshots("letters/a.txt")[-1]
    share.run(f"get {oldest}\\letters\\a.txt {tmp_path}/fetched")

    assert (tmp_path / "fetched").read_text() == "one"


def test_a_deleted_file_is_found_in_the_previous_versions_of_its_folder(
    letters: tuple[Path, Share], tmp_path: Path
) -> None:
    """It has no properties to look at any more, but its folder has."""
    folder, share = letters
    assert "gone.txt" not in share.run("ls letters\\*")
    holding = [
        name
        for name, _ in share.snapshots("letters")
        if "gone.txt" in share.run(f"ls {name}\\letters\\*")
    ]
    share.run(f"get {holding[0]}\\letters\\gone.txt {tmp_path}/fetched")

    assert (tmp_path / "fetched").read_text() == "second"
    assert not (folder / "gone.txt").exists()


def test_a_previous_version_cannot_be_changed_through_the_share(
    letters: tuple[Path, Share], tmp_path: Path
) -> None:
    """Not by a write, and not by a removal."""
    folder, share = letters
    (tmp_path / "forged").write_text("forged")
    newest, _ = share.snapshots("letters/a.txt")[0]
    share.run(f"put {tmp_path}/forged {newest}\\letters\\a.txt")
    share.run(f"del {newest}\\letters\\a.txt")

    assert (folder / "a.txt").read_text() == "second"
    assert (folder / ".versions" / newest / "a.txt").read_text() == "second"
