"""Buckets out of reach for a while: a store of nothing else goes on when they are back."""

from itertools import count
from pathlib import Path
from typing import Final

import pytest

from s3fs_local.errors import TooFewZones
from s3fs_local.objects import s3
from tests.aws_server import REGION, AwsServer
from tests.hostile_proxy import Answer, Asked, Behaviour, HostileProxy, Reset, refusal
from tests.store_on_disk import make_store, opened, wait_until_well

pytestmark = pytest.mark.s3
_BUCKETS: Final = count()


@pytest.fixture(autouse=True)
def _less_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "ATTEMPTS", 2)


def _urls(aws: AwsServer, proxy: HostileProxy, number: int) -> list[str]:
    buckets = [aws.make_bucket(f"away-{next(_BUCKETS)}") for _ in range(number)]
    return [f"s3://{bucket}/zone?endpoint={proxy.url}&region={REGION}" for bucket in buckets]


def _refuse_writes(asked: Asked) -> Behaviour:
    return refusal(403, "AccessDenied") if asked.method == "PUT" else None


FAULTS: Final[dict[str, Behaviour]] = {
    "resets what arrived": Reset(arrives=True),
    "resets what did not": Reset(arrives=False),
    "is busy": refusal(503, "ServiceUnavailable"),
    "fails": refusal(500, "InternalError"),
    "knows no such bucket": refusal(404, "NoSuchBucket"),
    "lies elsewhere": refusal(301, "PermanentRedirect"),
    "finds the clock wrong": refusal(403, "RequestTimeTooSkewed"),
    "finds the credentials expired": refusal(403, "ExpiredToken"),
    "is hidden by a portal": Answer(200, b"<html/>"),
}


@pytest.mark.parametrize(
    ("fault", "zones"),
    [
        *((fault, 1) for fault in ("is not there", "refuses to write", *FAULTS)),
        *((fault, 2) for fault in ("is not there", "refuses to write", "resets what arrived")),
    ],
)
async def test_a_store_of_buckets_goes_on_when_they_answer_again(
    tmp_path: Path, aws: AwsServer, proxy: HostileProxy, fault: str, zones: int
) -> None:
    """Without a restart, and with what was written when they did not, synced or not."""
    make_store(tmp_path / "store", _urls(aws, proxy, zones))
    async with opened(tmp_path / "store") as disk:
        disk.write("a", b"one")
        await disk.sync()
        disk.write("b", b"two")
        if fault == "is not there":
            proxy.stop()
        elif fault == "refuses to write":
            proxy.behave = _refuse_writes
        else:
            proxy.behave = lambda _: FAULTS[fault]
        for _ in range(2):
            with pytest.raises(TooFewZones):
                await disk.sync()
        assert await disk.read("b") == b"two"
        if fault == "is not there":
            proxy.start()
        proxy.go_on()
        await disk.sync()
        await wait_until_well(disk)
        disk.write("c", b"three")
        await disk.sync_everywhere()
        assert [await disk.read(name) for name in "abc"] == [b"one", b"two", b"three"]
    async with opened(tmp_path / "store") as disk:
        assert [await disk.read(name) for name in "abc"] == [b"one", b"two", b"three"]
