"""A bucket's objects that grow: pieces, joined into one behind a reader's back."""

from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from s3fs_local.errors import StoreFull
from s3fs_local.objects.s3 import (
    ATTEMPTS,
    PART_BYTES,
    PIECE_BYTES_MAX,
    S3Objects,
    S3Place,
    client_of,
)
from tests.aws_server import REGION, AwsServer, answer_of

pytestmark = pytest.mark.s3


def test_a_reader_finds_the_bytes_though_their_pieces_are_joined_meanwhile(aws: AwsServer) -> None:
    """Between list and get every piece may have gone into the whole: that is no missing object."""
    place = S3Place(bucket=aws.make_bucket("joined"), prefix="zone")
    client = aws.client("s3")
    objects, other = S3Objects(place, client), S3Objects(place, aws.client("s3"))
    for start, byte in enumerate(b"abc"):
        objects.put_piece("pack", start, bytes([byte]))
    joins = iter([other.join])

    def before_get(**_: object) -> None:
        for join in joins:
            join("pack")

    client.meta.events.register("before-call.s3.GetObject", before_get)

    assert objects.read("pack", 0, 9) == b"abc"
    assert next(joins, None) is None


def test_a_bucket_that_was_full_takes_what_waited(aws: AwsServer) -> None:
    """No page cache is involved, so nothing is in doubt: with room the same object goes on."""
    place = S3Place(bucket=aws.make_bucket("full"), prefix="zone", endpoint=aws.url, region=REGION)
    client: Any = client_of(place)
    objects = S3Objects(place, client)
    appender = objects.create("grown")
    is_full = [True]

    def before_send(request: Any, event_name: str, **_: object) -> AWSResponse | None:  # noqa: ANN401
        refuses = is_full[0] and event_name.endswith("PutObject")
        return answer_of(request, 403, "QuotaExceeded") if refuses else None

    client.meta.events.register("before-send.s3", before_send)
    appender.append(b"waits")
    for attempt in (appender.sync, lambda: appender.append(bytes(PIECE_BYTES_MAX))):
        with pytest.raises(StoreFull):
            attempt()
        assert appender.length == 5
    is_full[0] = False
    assert appender.append(b", and follows") == 5
    appender.sync()

    assert S3Objects(place, client).read("grown", 0, 99) == b"waits, and follows"


def test_every_put_is_checked_and_tried_again(aws: AwsServer) -> None:
    """A busy server answers 503, a network flips bits: neither is ours to notice later."""
    place = S3Place(
        bucket=aws.make_bucket("retried"), prefix="zone", endpoint=aws.url, region=REGION
    )
    client: Any = client_of(place)
    objects = S3Objects(place, client)
    busy = {"PutObject": 2, "UploadPart": 1, "CompleteMultipartUpload": 1}
    unchecked = []

    def before_send(request: Any, event_name: str, **_: object) -> AWSResponse | None:  # noqa: ANN401
        operation = event_name.rpartition(".")[2]
        said = f"{list(request.headers)} {request.headers.get('x-amz-trailer')}".lower()
        if operation in {"PutObject", "UploadPart"} and "x-amz-checksum-crc32" not in said:
            unchecked.append(operation)
        if busy.get(operation, 0):
            busy[operation] -= 1
            return answer_of(request, 503, "SlowDown")
        return None

    client.meta.events.register("before-send.s3", before_send)
    objects.put("small", b"small")
    data = bytes(range(256)) * (PART_BYTES // 256) + b"the second part"
    objects.put("packs/00/long.pack", data)
    appender = objects.create("grown")
    appender.append(b"grown")
    appender.sync()

    assert unchecked == []
    assert set(busy.values()) == {0}
    assert objects.read("small", 0, 9) == b"small"
    assert objects.read("packs/00/long.pack", PART_BYTES, 99) == b"the second part"
    assert client.meta.config.retries == {"mode": "standard", "total_max_attempts": ATTEMPTS}


def test_parts_that_a_killed_put_has_left_are_swept_away(aws: AwsServer) -> None:
    """They are in no listing of objects, and paid for until somebody ends the upload."""
    place = S3Place(bucket=aws.make_bucket("parts"), prefix="zone")
    client: Any = aws.client("s3")
    objects = S3Objects(place, client)
    for key in ("zone/packs/00/one.pack", "another/packs/00/one.pack"):
        begun = client.create_multipart_upload(Bucket=place.bucket, Key=key)
        client.upload_part(
            Bucket=place.bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"part"
        )

    assert objects.sweep() == 1
    assert objects.sweep() == 0
    left = client.list_multipart_uploads(Bucket=place.bucket)["Uploads"]
    assert [upload["Key"] for upload in left] == ["another/packs/00/one.pack"]


def test_an_upload_that_runs_is_not_swept_away(aws: AwsServer) -> None:
    """It would fail in its middle."""
    place = S3Place(bucket=aws.make_bucket("running"), prefix="zone")
    client = aws.client("s3")
    objects = S3Objects(place, client)
    swept = []
    client.meta.events.register(
        "before-call.s3.UploadPart", lambda **_: swept.append(objects.sweep())
    )
    objects.put("metadata/000001", bytes(PART_BYTES + 1))

    assert swept == [0, 0]
    assert objects.length("metadata/000001") == PART_BYTES + 1
