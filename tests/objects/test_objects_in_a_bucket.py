"""A bucket's objects that grow: pieces, joined into one behind a reader's back."""

import pytest

from s3fs_local.objects.s3 import S3Objects, S3Place
from tests.aws_server import AwsServer

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
