"""Whatever comes in place of S3's answer: nothing is lost, and nothing false is believed."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from s3fs_local.errors import ZoneUnavailable
from s3fs_local.objects.s3 import BODY_ATTEMPTS, PART_BYTES, S3Objects, S3Place
from tests.aws_server import REGION, AwsServer
from tests.hostile_proxy import (
    Altered,
    Answer,
    Asked,
    Behaviour,
    Cut,
    HostileProxy,
    Reset,
    refusal,
    with_body,
)

pytestmark = pytest.mark.s3
_BUCKETS: Final = count()


@pytest.fixture
def place(aws: AwsServer, proxy: HostileProxy) -> S3Place:
    """A new bucket, seen through the proxy."""
    bucket = aws.make_bucket(f"hostile-{next(_BUCKETS)}")
    return S3Place(bucket=bucket, prefix="zone", endpoint=proxy.url, region=REGION)


def _keys(aws: AwsServer, place: S3Place) -> dict[str, int]:
    listed = aws.client("s3").list_objects_v2(Bucket=place.bucket).get("Contents", [])
    return {each["Key"]: each["Size"] for each in listed}


def _only(
    method: str, behaviour: Behaviour, *, times: int = 1 << 30
) -> Callable[[Asked], Behaviour]:
    """Of requests for objects by the method, the first so many."""
    left = [times]

    def behave(asked: Asked) -> Behaviour:
        if asked.method != method or "list-type" in asked.about or not left[0]:
            return None
        left[0] -= 1
        return behaviour

    return behave


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200),
        Answer(200, b"<html><body/></html>", {"Content-Type": "text/html"}),
        Answer(200, b"<html><body>please log in", {"Content-Type": "text/html"}),
        Answer(404, b"<html/>", {"Content-Type": "text/html"}),
    ],
    ids=["nothing", "a page", "half a page", "no such page"],
)
def test_a_portal_that_answers_in_s3s_place_is_not_believed(
    place: S3Place, proxy: HostileProxy, answer: Answer
) -> None:
    """An empty 200 is no empty bucket, no object that was put, and none that was deleted."""
    objects = S3Objects(place)
    objects.put("a", b"precious")
    objects.put("d", b"unwanted")
    appender = objects.append_to("a")
    appender.append(b", grown")
    attempts: list[Callable[[], object]] = [
        lambda: objects.list(""),
        lambda: objects.length("a"),
        lambda: objects.read("a", 0, 9),
        lambda: objects.put("b", b"new"),
        lambda: objects.create("c"),
        lambda: objects.delete("d"),
        appender.sync,
    ]

    proxy.behave = lambda _: answer
    for attempt in attempts:
        with pytest.raises(ZoneUnavailable):
            attempt()
    # Listings come through, and what follows does not.
    proxy.behave = lambda asked: None if "list-type" in asked.about else answer
    for attempt in attempts[2:]:
        with pytest.raises(ZoneUnavailable):
            attempt()
    with pytest.raises(ZoneUnavailable):
        objects.put("packs/00/long.pack", bytes(PART_BYTES + 1))
    proxy.go_on()
    appender.sync()

    assert S3Objects(place).read("a", 0, 99) == b"precious, grown"


def _without(what: bytes, by: bytes = b"") -> Altered:
    return Altered(lambda answer: with_body(answer, answer.body.replace(what, by)))


@pytest.mark.parametrize(
    "change",
    [
        _without(b"<IsTruncated>false", b"<IsTruncated>true"),
        Altered(
            lambda answer: with_body(
                answer,
                answer.body[: answer.body.index(b"<Contents>")]
                + answer.body[answer.body.index(b"</Contents>") + len(b"</Contents>") :],
            )
        ),
        _without(b"Size", b"Sise"),
    ],
    ids=["the next page", "an entry", "the sizes"],
)
def test_half_a_listing_is_not_taken_for_the_whole(
    place: S3Place, proxy: HostileProxy, change: Altered
) -> None:
    """What it leaves out would be deleted elsewhere, or written anew."""
    objects = S3Objects(place)
    objects.put("a", b"1")
    objects.put("b", b"2")
    proxy.behave = lambda asked: change if "list-type" in asked.about else None

    with pytest.raises(ZoneUnavailable):
        objects.list("")


def test_a_body_that_breaks_off_is_asked_for_again(place: S3Place, proxy: HostileProxy) -> None:
    """boto3 retries requests, not what follows their heads."""
    objects = S3Objects(place)
    objects.put("a", bytes(range(256)) * 100)
    proxy.behave = _only("GET", Cut(1000), times=BODY_ATTEMPTS - 1)

    assert objects.read("a", 10, 20_000) == (bytes(range(256)) * 100)[10:20_010]


def test_bytes_that_arrived_short_or_false_are_not_joined(
    aws: AwsServer, place: S3Place, proxy: HostileProxy
) -> None:
    """The join puts what it read, and then deletes what it read it from."""
    objects = S3Objects(place)
    appender = objects.create("packs/00/one.pack")
    for data in (b"first", b"second"):
        appender.append(data)
        appender.sync()
    before = _keys(aws, place)
    for change in (
        lambda answer: with_body(answer, answer.body[:-1]),
        lambda answer: with_body(answer, answer.body[:-1] + b"?"),
    ):
        proxy.behave = _only("GET", Altered(change))
        with pytest.raises(ZoneUnavailable):
            objects.join("packs/00/one.pack")
    assert _keys(aws, place) == before

    proxy.go_on()
    objects.join("packs/00/one.pack")
    assert objects.read("packs/00/one.pack", 0, 99) == b"firstsecond"


def test_what_waited_while_nobody_answered_is_put_afterwards(
    place: S3Place, proxy: HostileProxy
) -> None:
    """Nothing of it is in doubt, as it would be on a disk: it still waits in memory."""
    objects = S3Objects(place)
    appender = objects.create("grown")
    appender.append(b"one")
    appender.sync()
    appender.append(b", two")
    proxy.stop()
    for _ in range(2):
        with pytest.raises(ZoneUnavailable):
            appender.sync()
    assert appender.append(b", three") == 8
    proxy.start()
    appender.sync()

    assert S3Objects(place).read("grown", 0, 99) == b"one, two, three"


def test_a_put_that_arrives_late_takes_nothing_back(
    aws: AwsServer, place: S3Place, proxy: HostileProxy
) -> None:
    """A request whose answer never came may be carried out after those that followed it."""
    objects = S3Objects(place)
    appender = objects.create("grown")
    appender.append(b"one")
    appender.sync()
    appender.append(b", two")
    proxy.behave = _only("PUT", Reset(arrives=True))
    with pytest.raises(ZoneUnavailable):
        appender.sync()
    late = proxy.asked[-1]
    appender.append(b", three")
    proxy.go_on()
    appender.sync()
    aws.client("s3").put_object(Bucket=place.bucket, Key=late.key.partition("/")[2], Body=b", two")

    assert S3Objects(place).read("grown", 0, 99) == b"one, two, three"


def test_the_later_of_two_processes_keeps_the_former_from_growing_what_it_relies_on(
    place: S3Place,
) -> None:
    """Else two machines with one store would each cut off what the other acknowledged."""
    former, later = S3Objects(place), S3Objects(place)
    old = former.create("grown")
    old.append(b"one")
    old.sync()
    new = later.append_to("grown")
    new.sync()
    old.append(b", cut off")
    with pytest.raises(ZoneUnavailable, match="another machine"):
        old.sync()
    new.append(b", two")
    new.sync()
    with pytest.raises(ZoneUnavailable, match="another machine"):
        old.sync()
    new.append(b", three")
    new.sync()

    assert S3Objects(place).read("grown", 0, 99) == b"one, two, three"


def test_the_mark_of_an_end_stays_when_pieces_are_joined(place: S3Place) -> None:
    """The former process may come to it much later."""
    former, later = S3Objects(place), S3Objects(place)
    old = former.create("grown")
    for data in (b"one", b", two"):
        old.append(data)
        old.sync()
    later.append_to("grown").sync()
    later.join("grown")
    old.append(b", cut off")
    with pytest.raises(ZoneUnavailable, match="another machine"):
        old.sync()

    assert later.read("grown", 0, 99) == b"one, two"
    later.delete("grown")
    assert list(S3Objects(place).list("")) == []


def test_a_server_that_knows_no_conditions_is_asked_without(
    place: S3Place, proxy: HostileProxy
) -> None:
    """Not all that speak S3 do."""
    objects = S3Objects(place)
    appender = objects.create("grown")
    appender.append(b"one")
    appender.sync()

    def behave(asked: Asked) -> Behaviour:
        return refusal(501, "NotImplemented") if "if-none-match" in asked.headers else None

    proxy.behave = behave
    appender.append(b", two")
    appender.sync()

    assert objects.read("grown", 0, 99) == b"one, two"


def test_credentials_that_were_exchanged_are_read_anew(
    place: S3Place, proxy: HostileProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a restart; those in the environment cannot change."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    file = tmp_path / "credentials"

    def write(name: str) -> None:
        file.write_text(f"[default]\naws_access_key_id={name}\naws_secret_access_key=secret\n")

    write("FORMER")
    objects = S3Objects(
        S3Place(
            **{name: getattr(place, name) for name in place.__struct_fields__}
            | {"credentials_file": str(file)}
        )
    )
    objects.put("a", b"1")

    def behave(asked: Asked) -> Behaviour:
        known = "Credential=LATER/" in asked.headers["authorization"]
        return None if known else refusal(403, "InvalidAccessKeyId")

    proxy.behave = behave
    with pytest.raises(ZoneUnavailable, match="InvalidAccessKeyId"):
        objects.put("b", b"2")
    write("LATER")
    with pytest.raises(ZoneUnavailable):
        objects.put("b", b"2")
    objects.put("b", b"2")

    assert objects.read("b", 0, 9) == b"2"


@pytest.mark.parametrize("status", [301, 302, 307])
def test_an_endpoint_that_redirects_elsewhere_is_told_of_in_words(
    place: S3Place, proxy: HostileProxy, status: int
) -> None:
    """As one does that wants https; botocore would follow it until the stack ends."""
    objects = S3Objects(place)
    proxy.behave = lambda _: Answer(status, b"", {"Location": "https://elsewhere.example/"})
    for attempt in (lambda: S3Objects(place), objects.free_bytes, lambda: objects.list("")):
        with pytest.raises(ZoneUnavailable, match="redirects"):
            attempt()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"profile": "nobody"}, "nobody"),
        ({"endpoint": "htp:/x"}, "htp:/x"),
        ({"region": "??"}, r"\?\?"),
        ({"endpoint": "http://no-such-host.invalid"}, "no-such-host"),
    ],
)
def test_a_place_that_makes_no_sense_is_told_of_in_words(
    place: S3Place, wrong: dict[str, Any], told: str
) -> None:
    """Not by a traceback of boto3."""
    given = {name: getattr(place, name) for name in place.__struct_fields__}
    with pytest.raises(ZoneUnavailable, match=told):
        S3Objects(S3Place(**given | wrong))
