"""The 37 vectors of S3's lifecycle semantics, by their numbers.

Each is one pass at midnight UTC. Vectors 1, 2, 11, 13, 14 and 35 restate examples of the S3 User
Guide; the others follow its text.
"""

from typing import Any

import pytest
from msgspec import structs

from s3fs_local.rules.instants import format_rfc3339
from s3fs_local.rules.lifecycle import (
    Action,
    Circumstances,
    Item,
    Lifecycle,
    Stack,
    after,
    evaluate,
)
from s3fs_local.rules.versioning import VersioningState
from tests.rules.lifecycle_words import (
    ENABLED,
    LONE_MARKERS,
    SHORT,
    SUSPENDED,
    UNVERSIONED,
    at,
    done,
    expire,
    locked,
    marker,
    move,
    null,
    nv_expire,
    nv_move,
    rule,
    rules,
    stack,
    version,
)

EXPIRE, MARKER, UNMARK = Action.EXPIRE, Action.ADD_MARKER, Action.REMOVE_MARKER
AGED = "2020"
TAGGED = rule(expire(1), prefix=b"p/", tags=(("a", "1"), ("b", "2")))
YEAR_THEN_GLACIER = rules(rule(expire(365)), rule(move(("GLACIER", 365))))
SMALL_LADDER = rule(move(("IA", 30), ("DEEP", 365)))
NOON = "2026-01-01T12:00:00Z"
DAWN = "2026-01-01T06:00:00Z"


def _step(what: str) -> tuple[int, Action, str]:
    """`0 Expire`, `1 → GLACIER`: position and action."""
    position, _, action = what.partition(" ")
    if action.startswith("→ "):
        return int(position), Action.TRANSITION, SHORT[action[2:]]
    return int(position), Action(action), ""


VECTORS: list[tuple[int, Lifecycle, Stack, VersioningState, dict[str, str]]] = [
    (1, rules(rule(move(("GLACIER", 3)))), stack(null("2014-01-15T10:30:00Z")), UNVERSIONED,
     {"2014-01-18": "", "2014-01-19": "0 → GLACIER"}),
    (2, rules(rule(move(("GLACIER", 0)))), stack(null("2026-03-01T00:00:01Z")), UNVERSIONED,
     {"2026-03-01": "", "2026-03-02": "0 → GLACIER"}),
    (3, rules(rule(expire(1))), stack(null("2026-03-01T00:00:00Z")), UNVERSIONED,
     {"2026-03-02": "", "2026-03-03": "0 Expire"}),
    (4, rules(rule(expire(30))), stack(version(NOON)), ENABLED,
     {"2026-01-31": "", "2026-02-01": "0 DeleteMarker"}),
    (5, rules(rule(expire(30))), stack(null(NOON)), SUSPENDED, {"2026-02-01": "0 Expire"}),
    (6, rules(rule(expire(30))), stack(version(NOON)), SUSPENDED,
     {"2026-02-01": "0 DeleteMarker"}),
    (7, rules(rule(expire(30))), stack(marker("2025"), version("2024")), ENABLED,
     {"2025-03": "", "2026": "", "2040": ""}),
    (8, rules(rule(expire(5))), stack(marker("2026-01-10T09:00:00Z")), ENABLED,
     {"2026-01-15": "", "2026-01-16": "0 RemoveMarker"}),
    (9, rules(rule(LONE_MARKERS)), stack(marker("2026-01-10T09:00:00Z")), ENABLED,
     {"2026-01-11": "0 RemoveMarker"}),
    (10, rules(rule(LONE_MARKERS)), stack(marker("2026-01-10"), version("2026-01-01")), ENABLED,
     {"2026-01-12": "", "2040": ""}),
    (11, rules(rule(nv_expire(5))),
     stack(marker("2014-01-02T11:30:00Z"), version("2014-01-01T10:30:00Z")), ENABLED,
     {"2014-01-07": "", "2014-01-08": "1 Expire"}),
    (12, rules(rule(nv_expire(1, keep=2))),
     stack(*[version(f"2026-01-0{day}T08:00:00Z") for day in (5, 4, 3, 2, 1)]), ENABLED,
     {"2026-01-06": "3 Expire, 4 Expire"}),
    (13, rules(rule(nv_move(("IA", 30), ("GLACIER", 90)), nv_expire(365))),
     stack(version("2026-01-15T10:30:00Z"), version(AGED)), ENABLED,
     {"2026-02-14": "", "2026-02-15": "1 → IA", "2026-04-16": "1 → GLACIER",
      "2027-01-16": "1 Expire"}),
    (14, rules(rule(expire(365)), rule(move(("IA", 365)), prefix=b"logs/")),
     stack(null("2025-01-01"), key=b"logs/x"), UNVERSIONED, {"2026-01-02": "0 Expire"}),
    (15, YEAR_THEN_GLACIER, stack(version("2025-01-01")), ENABLED, {"2026-01-02": "0 → GLACIER"}),
    (16, YEAR_THEN_GLACIER, stack(version("2025-01-01", storage_class="GLACIER")), ENABLED,
     {"2026-01-03": "0 DeleteMarker"}),
    (17, rules(rule(move(("IA", 30), ("GLACIER", 90)), expire(365))),
     stack(null("2025-10-01T06:00:00Z"), key=b"logs/a"), UNVERSIONED,
     {"2025-10-31": "", "2025-11-01": "0 → IA", "2025-12-31": "0 → GLACIER",
      "2026-10-02": "0 Expire"}),
    (18, rules(rule(move(("IA", 30))), rule(move(("INT", 30)))), stack(version(DAWN)), ENABLED,
     {"2026-02-01": "0 → INT"}),
    (19, rules(rule(move(("IR", 90))), rule(move(("INT", 90)))), stack(version(DAWN)), ENABLED,
     {"2026-04-02": "0 → INT"}),
    (20, rules(rule(move(("DEEP", 90))), rule(move(("INT", 90)))), stack(version(DAWN)), ENABLED,
     {"2026-04-02": "0 → DEEP"}),
    (21, rules(SMALL_LADDER), stack(version(AGED, size=131_071)), ENABLED,
     {"2020-03-01": "", "2026": ""}),
    (22, rules(SMALL_LADDER, archives_small=True), stack(version(AGED, size=131_071)), ENABLED,
     {"2020-03-01": "", "2026": "0 → DEEP"}),
    (23, rules(rule(move(("IA", 30)), larger_than=1000)), stack(version(AGED, size=5000)), ENABLED,
     {"2026": "0 → IA"}),
    (24, rules(rule(expire(1), larger_than=500, smaller_than=64_000)),
     stack(version(AGED, size=500)), ENABLED, {"2026": ""}),
    (25, rules(TAGGED), stack(null(AGED, tags={"a": "1", "b": "2", "c": "3"}), key=b"p/x"),
     UNVERSIONED, {"2026": "0 Expire"}),
    (26, rules(TAGGED), stack(null(AGED, tags={"a": "1", "b": "x"}), key=b"p/x"), UNVERSIONED,
     {"2026": ""}),
    (27, rules(rule(expire(date="2026-06-01"))), stack(version("2026-07-04T00:00:01Z")), ENABLED,
     {"2026-07-05": "0 DeleteMarker"}),
    (28, rules(), stack(version(AGED)), ENABLED, {"2026": ""}),
    (29, rules(rule(expire(1)), rule(nv_expire(1))),
     stack(locked("2026-01-10", "2030"), locked("2026-01-01", "2030")), ENABLED,
     {"2026-01-12": "0 DeleteMarker"}),
    (30, rules(rule(nv_expire(1))), stack(version("2026-01-10"), locked("2026-01-01")), ENABLED,
     {"2026-01-12": "", "2040": ""}),
    (31, rules(rule(move(("GLACIER", 30)))), stack(locked("2026-01-01", "2036")), ENABLED,
     {"2026-02-01": "0 → GLACIER"}),
    (32, rules(rule(move(("IR", 90)))), stack(version("2025", storage_class="ONEZONE_IA")),
     ENABLED, {"2026": "", "2040": ""}),
    (33, rules(rule(move(("GLACIER", 1)))), stack(version("2025", replication="PENDING")), ENABLED,
     {"2026": "", "2040": ""}),
    (34, rules(rule(nv_expire(1))), stack(null(AGED)), UNVERSIONED, {"2026": ""}),
    (35, rules(rule(move(("GLACIER", 365)), tags=(("t1", ""),)),
               rule(expire(14), tags=(("t2", ""),))),
     stack(null("2026-01-01T09:00:00Z", tags={"t1": "", "t2": ""})), UNVERSIONED,
     {"2026-01-15": "", "2026-01-16": "0 Expire"}),
    (36, rules(rule(nv_expire(30), smaller_than=1)),
     stack(version("2026-01-10"), marker("2026-01-05"), version("2026-01-01", size=10)), ENABLED,
     {"2026-02-10": "1 Expire"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("lifecycle", "given", "state", "passes"),
    [pytest.param(*vector[1:], id=f"vector {vector[0]}") for vector in VECTORS],
)
def test_vector(
    lifecycle: Lifecycle, given: Stack, state: VersioningState, passes: dict[str, str]
) -> None:
    """S3 does this, so an existing rules file does it here; vector 13 and 17 as classes change."""
    for now, expected in passes.items():
        steps = [_step(what) for what in expected.split(", ") if what]

        assert done(lifecycle, given, now, state) == steps
        found = evaluate(given, lifecycle, Circumstances(state), at(now))
        moves = tuple(v for v in found.verdicts if v.action is Action.TRANSITION)
        given = after(given, moves, Circumstances(state), at(now))


def test_a_date_is_due_at_the_next_midnight_for_what_comes_later() -> None:
    """Vector 27 on the day itself: a run at noon leaves what was made that morning alone."""
    lifecycle = rules(rule(expire(date="2026-06-01")))
    given = stack(version("2026-07-04T00:00:01Z"))

    assert done(lifecycle, given, "2026-07-04T12:00:00Z") == []
    assert done(lifecycle, given, "2026-07-05") == [_step("0 DeleteMarker")]


def test_what_could_not_be_replicated_moves_no_class() -> None:
    """As vector 33, for FAILED; once it is COMPLETED it moves."""
    lifecycle = rules(rule(move(("GLACIER", 1))))
    for status, steps in (("FAILED", []), ("COMPLETED", [_step("0 → GLACIER")])):
        assert done(lifecycle, stack(version("2025", replication=status)), "2026") == steps


def test_what_another_region_could_hear_of_nowhere_else_is_not_removed_for_good() -> None:
    """Ours: the last version of a file of whose names or removal a region was not told."""
    last = structs.replace(version("2025"), is_last_to_tell=True)
    other = structs.replace(null("2025"), is_last_to_tell=True)

    assert done(rules(rule(nv_expire(1))), stack(marker("2025-02"), last), "2026") == []
    for state in (UNVERSIONED, SUSPENDED):
        assert done(rules(rule(expire(1))), stack(other), "2026", state) == []
    assert done(rules(rule(expire(1))), stack(last), "2026") == [_step("0 DeleteMarker")]
    assert done(rules(rule(move(("GLACIER", 1)))), stack(last), "2026") == [_step("0 → GLACIER")]


def test_vector_28_a_disabled_rule_does_not_exist() -> None:
    """It is left out when the document is read: see test_lifecycle_documents."""
    assert (28, rules()) in [(number, lifecycle) for number, lifecycle, *_ in VECTORS]


def test_vector_37_an_object_goes_its_whole_way_in_daily_passes() -> None:
    """Expiration, then removal for good, then of the marker: S3's three steps to nothing."""
    lifecycle = rules(rule(expire(60), nv_expire(30)))
    given = stack(version(NOON))
    seen: dict[str, list[Any]] = {}
    for day in range(150):
        now_ns = at("2026-01-01") + day * 86_400 * 10**9
        found = evaluate(given, lifecycle, Circumstances(), now_ns)
        for verdict in found.verdicts:
            seen.setdefault(_date(now_ns), []).append(verdict.action)
        given = after(given, found.verdicts, Circumstances(), now_ns)

    assert seen == {
        "2026-03-03": [Action.ADD_MARKER],
        "2026-04-03": [Action.EXPIRE],
        "2026-05-03": [Action.REMOVE_MARKER],
    }
    assert not given.items


def test_suspended_versioning_leaves_what_s3_leaves() -> None:
    """Vectors 5 and 6: the null version is destroyed, another one is kept under a null marker."""
    lifecycle = rules(rule(expire(30)))
    now_ns = at("2026-02-01")
    circumstances = Circumstances(SUSPENDED)
    for given, kept in ((null(NOON), 0), (version(NOON), 1)):
        before = stack(given)
        found = evaluate(before, lifecycle, circumstances, now_ns)
        items = after(before, found.verdicts, circumstances, now_ns).items

        assert structs.replace(items[0], stamp_ns=0, since_ns=0) == structs.replace(
            marker("2026"), is_null=True, stamp_ns=0, since_ns=0
        )
        assert items[1:] == (given,) * kept


def _date(now_ns: int) -> str:
    return format_rfc3339(now_ns)[:10]


def linked(made: str, file: int, **fields: object) -> Item:
    """A version of a file that has another name besides."""
    return version(made, file=file, has_other_names=True, **fields)


@pytest.mark.parametrize("state", [ENABLED, SUSPENDED, UNVERSIONED])
def test_a_name_of_several_goes_and_nothing_else(state: VersioningState) -> None:
    """S3 has no hard links: the content is there by the other name, so it is not removed."""
    given = stack(linked("2026-01-01", 7, is_null=True))

    assert done(rules(rule(expire(1))), given, "2026-02-01", state) == [(0, MARKER, "")]


def test_a_file_takes_its_versions_along_to_its_other_name() -> None:
    """What the name showed before is as old as it was."""
    below = marker("2025-12-31"), version("2025-01-01", file=6)
    given = stack(linked("2026-01-02", 7), version("2026-01-01", file=7), *below)
    lifecycle = rules(rule(expire(1), nv_expire(10)))
    now_ns = at("2026-01-05")
    found = evaluate(given, lifecycle, Circumstances(ENABLED), now_ns)

    left = after(given, found.verdicts, Circumstances(ENABLED), now_ns)

    assert left == Stack(b"f", below, left_ns=at("2026-01-01"))
    assert done(lifecycle, left, "2026-01-11") == [(1, EXPIRE, "")]
    assert done(lifecycle, left, "2026-01-12") == [(0, EXPIRE, ""), (1, EXPIRE, "")]


def test_nothing_is_left_of_a_name_whose_only_file_goes_on_elsewhere() -> None:
    """Plans say nothing more of it."""
    given = stack(linked("2026-01-02", 7))
    now_ns = at("2026-02-01")
    found = evaluate(given, rules(rule(expire(1))), Circumstances(ENABLED), now_ns)

    assert after(given, found.verdicts, Circumstances(ENABLED), now_ns).items == ()
