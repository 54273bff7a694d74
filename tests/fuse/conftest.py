"""One mount for all tests of a module: what they prove needs none of their own."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import WATCHDOG_LEAD_SECONDS
from tests.mounting import MountedStore, end_processes, processes_marked, s3fs_local


@pytest.fixture(scope="module")
def shared_mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MountedStore]:
    """A store mounted for the module, for other users too where that is possible."""
    base = tmp_path_factory.mktemp("shared")
    path = base / "mount"
    path.mkdir()
    s3fs_local("init", base / "store")
    mounted = MountedStore(base / "store", path, ["allow_other"] if os.geteuid() == 0 else [])
    try:
        mounted.mount()
        yield mounted
    finally:
        mounted.clean_up()


@pytest.fixture
def folder(shared_mount: MountedStore, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory of the test's own in the shared mount."""
    marker = request.node.get_closest_marker("timeout")
    seconds = marker.args[0] if marker else float(request.config.getini("timeout"))
    watchdog = threading.Timer(
        seconds - WATCHDOG_LEAD_SECONDS,
        lambda: end_processes(processes_marked(shared_mount.path)),
    )
    watchdog.daemon = True
    watchdog.start()
    path = shared_mount.path / f"{request.node.name[:60]}-{len(os.listdir(shared_mount.path))}"
    path.mkdir()
    yield path
    watchdog.cancel()
