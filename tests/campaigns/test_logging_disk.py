"""The disk below the store of `power-cuts`: it was silent for a day when the requests changed."""

import os
from pathlib import Path

import pytest

from tests.campaigns.logging_disk import FLUSH, requests
from tests.campaigns.power_cuts import logging_disk

pytestmark = pytest.mark.mount


def test_every_write_and_flush_is_remembered_in_order(tmp_path: Path) -> None:
    """Past the page cache, so that nothing is put together or left out."""
    image, log = tmp_path / "image", tmp_path / "log"
    image.write_bytes(bytes(1 << 16))
    with logging_disk(image, log, tmp_path / "layer") as file:
        descriptor = os.open(file, os.O_RDWR)
        os.pwrite(descriptor, b"one" * 1000, 4096)
        os.fsync(descriptor)
        os.pwrite(descriptor, b"two", 4096)
        assert os.pread(descriptor, 6, 4096) == b"twoone"
        os.close(descriptor)
    told = [(request.offset, request.data) for request in requests(log)]
    assert told == [(4096, b"one" * 1000), (FLUSH, b""), (4096, b"two")]
