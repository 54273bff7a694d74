"""What a mounted store shows of itself: oplog, top, metrics. One mount serves all."""

import json
import os
import re
import socket
import stat
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from s3fs_local.cli.exit_codes import ExitCode
from tests.mounting import COMMAND, MountedStore, answer_of, processes_marked, run, s3fs_local

pytestmark = [pytest.mark.mount, pytest.mark.slow]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MountedStore]:
    """A mounted store that tells metrics on a loopback port and logs JSON."""
    base = tmp_path_factory.mktemp("seen")
    (base / "mount").mkdir()
    s3fs_local("init", base / "store", "--object-lock")
    mounted = MountedStore(base / "store", base / "mount", ["metrics=127.0.0.1:0,log=json"])
    try:
        mounted.mount()
        yield mounted
    finally:
        mounted.clean_up()


def metrics_url(seen: MountedStore) -> str:
    """Where the daemon says that it tells metrics."""
    lines = (seen.store / "daemon.log").read_text().splitlines()
    [said] = [line for line in lines if "metrics are told" in line]
    message: str = json.loads(said)["Message"]
    return message.removeprefix("metrics are told at ")


def metrics_of(text: str) -> dict[str, float]:
    """Every sample of an answer in OpenMetrics, by name and first label."""
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]  # theirs
    return {
        "".join([sample.name, *(f" {value}" for value in list(sample.labels.values())[:1])]): (
            sample.value
        )
        for family in families
        for sample in family.samples
    }


def scrape(url: str) -> dict[str, float]:
    """What a monitoring system gets."""
    wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
    request = urllib.request.Request(url, headers=wanted)  # noqa: S310  http of our own daemon
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  as above
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        return metrics_of(answer.read().decode())


def test_the_oplog_tells_who_did_what_with_which_file(seen: MountedStore) -> None:
    """The question on a slow or strange day: which program does this?"""
    (seen.path / "letter.txt").write_text("x" * 1000)
    (seen.path / "letter.txt").unlink()
    log = (seen.path / ".s3fs" / "oplog").read_text()
    lines = [line for line in log.splitlines() if "'/letter.txt'" in line]

    [create] = [line for line in lines if " create " in line]
    assert f"pid={os.getpid()}" in create
    [write] = [line for line in lines if " write " in line]
    assert re.search(r"'/letter.txt'  1000  [0-9.]+  uid=\d+ pid=\d+  ok$", write)
    assert re.search(r" unlink +'/letter.txt'", log)


def test_the_oplog_names_what_was_refused(seen: MountedStore) -> None:
    """Whoever looks for the program that fails finds it, and why."""
    (seen.path / "kept").write_text("x")
    s3fs_local("retention", "set", "governance", "1d", seen.path / "kept")
    with pytest.raises(PermissionError):
        (seen.path / "kept").write_text("y")
    log = (seen.path / ".s3fs" / "oplog").read_text()

    assert re.search(r"'/kept'  .*  Protected$", log, re.MULTILINE), log


def test_the_oplog_is_for_the_owner_alone_and_hidden(seen: MountedStore) -> None:
    """It holds names of files of everybody who uses the mount."""
    log, status = seen.path / ".s3fs" / "oplog", seen.path / ".s3fs" / "status.json"

    assert stat.S_IMODE(log.stat().st_mode) == 0o400
    assert stat.S_IMODE(status.stat().st_mode) & 0o444
    assert ".s3fs" not in os.listdir(seen.path)  # noqa: PTH208  as programs list


def test_top_shows_what_was_asked_meanwhile(seen: MountedStore) -> None:
    """A terminal gets a live view; a pipe one view after the other."""
    shown = s3fs_local("top", seen.path, "--interval", "0.05", "--count", "2").stdout
    [load] = json.loads(
        "[" + s3fs_local("top", seen.path, "--interval=0.05", "--count=1", "--json").stdout + "]"
    )

    assert shown.count("open files") == 2
    assert load["OpenFiles"] == 0
    assert load["Running"] == []


def test_top_of_what_is_not_mounted_says_so(seen: MountedStore, tmp_path: Path) -> None:
    """Nothing is asked of it, which is not the same as being idle."""
    del seen
    s3fs_local("init", tmp_path / "other")
    refused = s3fs_local("top", tmp_path / "other", "--count=1", check=False)

    assert refused.returncode == ExitCode.NOT_MOUNTED


def test_metrics_count_what_happened(seen: MountedStore) -> None:
    """Two scrapes differ by what was done in between, in the format every collector reads."""
    url = metrics_url(seen)
    before = scrape(url)
    (seen.path / "counted").write_bytes(b"x" * 5000)
    after = scrape(url)

    written = "s3fs_local_operation_bytes_total write"
    assert after[written] - before.get(written, 0) == 5000
    assert after["s3fs_local_healthy"] == 1
    assert after["s3fs_local_findings critical"] == 0
    assert after["s3fs_local_zone_free_bytes zones/zone-1"] > 0
    assert after["process_resident_memory_bytes"] > 0
    assert any(name.startswith("s3fs_local_store_info") for name in after)


def test_metrics_are_told_on_a_unix_socket_too_which_only_the_owner_reaches(
    tmp_path: Path,
) -> None:
    """No port to guard; and one that a killed daemon left is no hindrance."""
    address, point = tmp_path / "metrics.sock", tmp_path / "point"
    point.mkdir()
    s3fs_local("init", tmp_path / "store")
    mounted = MountedStore(tmp_path / "store", point, [f"metrics={address}"])
    try:
        mounted.mount()
        mounted.kill()
        mounted.mount()
        assert not stat.S_IMODE(address.stat().st_mode) & 0o077
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(address))
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert b"\ns3fs_local_healthy 1.0\n" in answer
        mounted.umount()
        assert not address.exists()
    finally:
        mounted.clean_up()


def test_a_scraper_that_says_nothing_does_not_keep_the_daemon_from_ending(
    tmp_path: Path,
) -> None:
    """Otherwise one hung collector would hold up a shutdown."""
    address, point = tmp_path / "metrics.sock", tmp_path / "point"
    point.mkdir()
    s3fs_local("init", tmp_path / "store")
    mounted = MountedStore(tmp_path / "store", point, [f"metrics={address}"])
    try:
        mounted.mount()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(address))
            mounted.umount()
    finally:
        mounted.clean_up()

    assert not list(processes_marked(point))


def test_an_address_that_is_taken_keeps_the_store_from_being_mounted(
    seen: MountedStore, tmp_path: Path
) -> None:
    """A mount that nobody watches, though somebody asked for it, would be found out too late."""
    port = metrics_url(seen).rpartition(":")[2].partition("/")[0]
    (tmp_path / "point").mkdir()
    s3fs_local("init", tmp_path / "other")
    mount = ("mount", tmp_path / "other", tmp_path / "point", "-o", f"metrics={port}")
    refused = s3fs_local(*mount, check=False)

    assert refused.returncode == ExitCode.USAGE
    assert "Address already in use" in refused.stderr


def test_status_in_the_mount_is_that_of_the_command(seen: MountedStore) -> None:
    """One truth, by whichever way it is asked for."""
    in_mount = json.loads((seen.path / ".s3fs" / "status.json").read_text())

    assert in_mount["Findings"] == answer_of("status", seen.path)["Findings"]
    assert run(*COMMAND, "status", ".", cwd=seen.path).stdout.startswith(f"{seen.store} is healthy")
