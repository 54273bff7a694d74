"""Fixtures for tests on real mounts, and the guard that no test leaves one behind."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from tests.aws_server import CREDENTIALS, AwsServer
from tests.hostile_proxy import HostileProxy
from tests.mounting import (
    MountedStore,
    end_processes,
    mounts_below,
    processes_marked,
    run,
    s3fs_local,
    unmount_by_force,
)

# A gate gives the same answer twice, also on a machine with much else to do; whoever sets how many
# examples to try is searching.
_UNTIMED: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("gate", _UNTIMED, derandomize=True)
settings.register_profile("search", _UNTIMED)
_SEARCHES = (
    "S3FS_LOCAL_EXAMPLES",
    "S3FS_LOCAL_MOUNT_EXAMPLES",
    "S3FS_LOCAL_MODEL_EXAMPLES",
)
settings.load_profile("search" if any(name in os.environ for name in _SEARCHES) else "gate")

# Ends a hung daemon shortly before pytest-timeout would fire: a process that waits for a hung
# filesystem hears no signal, but it wakes up when the daemon is gone.
WATCHDOG_LEAD_SECONDS = 10

UMASK: Final = os.umask(0o022)
os.umask(UMASK)

MakeStore = Callable[..., Path]
MakeMount = Callable[..., MountedStore]


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fails the run, after cleaning up, if a mount or a daemon outlives the tests."""
    yield
    base = tmp_path_factory.getbasetemp()
    processes = end_processes(processes_marked(base))
    mounts = mounts_below(base)
    for point in mounts:
        unmount_by_force(point)
    assert not processes, f"daemons were left running: {processes}"
    assert not mounts, f"mounts were left behind: {mounts}"


@pytest.fixture(autouse=True)
def umask_of_the_run() -> Iterator[None]:
    """A command in this process takes all bits from others; so may a fixture of a whole module."""
    os.umask(UMASK)
    yield
    os.umask(UMASK)


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """Makes a store by `init` with the options given; the first is called `store`."""
    count = 0

    def make(*options: str | Path) -> Path:
        nonlocal count
        count += 1
        store = tmp_path / ("store" if count == 1 else f"store{count}")
        s3fs_local("init", store, *options)
        return store

    return make


@pytest.fixture
def store(make_store: MakeStore) -> Path:
    """A new store in a temporary directory."""
    return make_store()


@pytest.fixture
def make_mount(
    tmp_path: Path, make_store: MakeStore, request: pytest.FixtureRequest
) -> Iterator[MakeMount]:
    """Mounts a store (a new one, if none is given) on a new directory."""
    marker = request.node.get_closest_marker("timeout")
    seconds = marker.args[0] if marker else float(request.config.getini("timeout"))
    with ExitStack() as stack:

        def make(store: Path | None = None, *options: str) -> MountedStore:
            path = tmp_path / f"mount{len(mounts) + 1}"
            path.mkdir()
            mounted = MountedStore(store or make_store(), path, options)
            mounts.append(mounted)
            stack.callback(mounted.clean_up)
            mounted.mount()
            return mounted

        mounts: list[MountedStore] = []
        watchdog = threading.Timer(
            seconds - WATCHDOG_LEAD_SECONDS, lambda: end_processes(processes_marked(tmp_path))
        )
        watchdog.daemon = True
        watchdog.start()
        stack.callback(watchdog.cancel)
        yield make


@pytest.fixture
def mount(make_mount: MakeMount) -> MountedStore:
    """A new store, mounted."""
    return make_mount()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB of its own."""
    path = tmp_path / "small"
    path.mkdir()
    made = run("mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", path, check=False)
    if made.returncode != 0:
        pytest.skip(f"needs the right to mount a tmpfs: {made.stderr.strip()}")
    yield path
    unmount_by_force(path)


@pytest.fixture(scope="session")
def aws() -> Iterator[AwsServer]:
    """A local server of AWS's S3 and KMS; the environment has credentials for it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        server = AwsServer()
        yield server
        server.stop()


@pytest.fixture
def proxy(aws: AwsServer) -> Iterator[HostileProxy]:
    """In front of the server."""
    hostile = HostileProxy(aws.url)
    yield hostile
    hostile.stop()
