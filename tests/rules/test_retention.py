"""WORM locks: S3's vectors, the gate operation by operation, and values meant to break it."""

from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fs_local import errors
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.policies import check_policy, retention_from_policy
from s3fs_local.rules.retention import (
    APPENDABLE,
    COMPLIANCE,
    GOVERNANCE,
    MAX_PERIOD_NS,
    SEALING,
    Bypass,
    DirectoryPolicy,
    Guarded,
    LegalHold,
    Lock,
    Operation,
    Retention,
    Semantics,
    add_hold,
    check,
    format_until,
    is_protected,
    parse_legal_hold,
    parse_mode,
    parse_mode_of_command,
    parse_object_lock,
    parse_period,
    parse_until,
    plan_retention,
    protected_until_ns,
    remove_hold,
)

SECOND: Final = 1_000_000_000
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR
NOW: Final = int(datetime(2026, 11, 22, 15, 4, 5, tzinfo=UTC).timestamp()) * SECOND
HOLD: Final = LegalHold(case="2026-17", reason="litigation", holder=0, placed_ns=NOW)
ROOT: Final = Bypass(entitled=True, reason="key person left")
USER: Final = Bypass(entitled=False, reason="I want to")


def governance(until_ns: int) -> Lock:
    """A lock that yields to a bypass until then."""
    return Lock(retention=Retention(GOVERNANCE, until_ns))


def compliance(until_ns: int) -> Lock:
    """A lock that yields to nobody until then."""
    return Lock(retention=Retention(COMPLIANCE, until_ns))


def verdict(
    operation: Operation,
    guarded: Guarded,
    *,
    semantics: Semantics = Semantics.FILE,
    now_ns: int = NOW,
    bypass: Bypass | None = None,
) -> str:
    """The gate's answer in one word."""
    try:
        check(operation, guarded, semantics=semantics, now_ns=now_ns, bypass=bypass)
    except errors.Protected:
        return "protected"
    except errors.BypassNotPermitted:
        return "not entitled"
    return "accepted"


def purge(lock: Lock | None, *, now_ns: int = NOW, bypass: Bypass | None = None) -> str:
    """The gate's answer to S3's DELETE versionId."""
    return verdict(Operation.PURGE_VERSION, Guarded(lock=lock), now_ns=now_ns, bypass=bypass)


def test_compliance_lock_yields_to_nobody_before_its_date() -> None:
    """The promise of the whole project: L6 and L7."""
    lock = compliance(NOW + 5)

    assert purge(lock, now_ns=NOW + 4, bypass=ROOT) == "protected"
    assert verdict(Operation.WRITE, Guarded(lock=lock), bypass=ROOT) == "protected"
    with pytest.raises(errors.Protected):
        plan_retention(lock, Retention(COMPLIANCE, NOW + 4), now_ns=NOW, bypass=ROOT)
    with pytest.raises(errors.Protected):
        plan_retention(lock, Retention(GOVERNANCE, NOW + 6), now_ns=NOW, bypass=ROOT)
    with pytest.raises(errors.Protected):
        plan_retention(lock, None, now_ns=NOW, bypass=ROOT)
    assert purge(lock, now_ns=NOW + 5) == "accepted"
    assert purge(lock, now_ns=NOW + 6) == "accepted"


# The gate's answer for a file that is: locked under FILE semantics, locked under S3 semantics,
# append-only without a lock, sealing without a lock. P is protected, - is accepted.
MATRIX: Final = {
    Operation.WRITE: "P-PP",
    Operation.APPEND: "P---",
    Operation.TRUNCATE: "P-PP",
    Operation.OPEN_FOR_WRITE: "P--P",
    Operation.OPEN_TRUNCATE: "P-PP",
    Operation.RESTORE_OVER: "P-PP",
    Operation.SET_MODE: "P-PP",
    Operation.SET_OWNER: "P-PP",
    Operation.SET_TIMES: "P-PP",
    Operation.SET_XATTR: "P-PP",
    Operation.REMOVE_XATTR: "P-PP",
    Operation.SET_TAGS: "P-PP",
    Operation.LINK: "P-PP",
    Operation.UNLINK: "P-PP",
    Operation.RENAME_FROM: "P-PP",
    Operation.RENAME_OVER: "P-PP",
    Operation.RENAME_EXCHANGE: "P-PP",
    Operation.ROTATE: "P---",
    Operation.MOVE_ANCESTOR: "P-PP",
    Operation.REPLACE_VERSION: "PP--",
    Operation.PURGE_VERSION: "PPPP",
    Operation.DESTROY_KEY: "PPPP",
    Operation.SET_RETENTION: "----",
    Operation.CLEAR_RETENTION: "PP--",
    Operation.SET_LEGAL_HOLD: "----",
    Operation.CLEAR_LEGAL_HOLD: "----",
    Operation.SET_APPEND_ONLY: "P--P",
    Operation.CLEAR_APPEND_ONLY: "P-PP",
    Operation.CHANGE_CLASS: "----",
    Operation.COMPACT: "----",
    Operation.REMOVE_ZONE: "----",
    Operation.WEAKEN_SEMANTICS: "PPPP",
    Operation.REPAIR: "PPPP",
}
LETTER: Final = {"P": "protected", "-": "accepted"}


@pytest.mark.parametrize("operation", Operation)
def test_gate_answers_as_the_matrix_says(operation: Operation) -> None:
    """Each door by itself, so that a new one without a decision fails here."""
    file, s3, appendable, sealing = (LETTER[letter] for letter in MATRIX[operation])

    for lock in (governance(NOW + 1), compliance(NOW + 1)):
        locked = Guarded(lock=lock)
        assert verdict(operation, locked) == file
        assert verdict(operation, locked, semantics=Semantics.S3) == s3
    for semantics in Semantics:
        for mark, expected in ((APPENDABLE, appendable), (SEALING, sealing)):
            assert verdict(operation, Guarded(append_only=mark), semantics=semantics) == expected


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("semantics", Semantics)
def test_nothing_is_refused_where_nothing_protects(
    operation: Operation, semantics: Semantics
) -> None:
    """No lock, an empty lock and an ended one are the same: free (S3's column X)."""
    for lock in (None, Lock(), compliance(NOW), compliance(NOW - 1), governance(NOW)):
        guarded = Guarded(lock=lock, descendants_protected_until_ns=NOW)
        assert verdict(operation, guarded, semantics=semantics) == "accepted"


@pytest.mark.parametrize("operation", Operation)
def test_bypass_opens_only_purge_and_clear(operation: Operation) -> None:
    """S3 has the header on DELETE versionId and PutObjectRetention; we add no further way."""
    bare = verdict(operation, Guarded(lock=governance(NOW + 1)))
    bypassed = verdict(operation, Guarded(lock=governance(NOW + 1)), bypass=ROOT)

    bypassable = operation in (Operation.PURGE_VERSION, Operation.CLEAR_RETENTION)
    assert bypassed == ("accepted" if bypassable else bare)


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("semantics", Semantics)
def test_compliance_and_holds_answer_alike_with_and_without_bypass(
    operation: Operation, semantics: Semantics
) -> None:
    """S3's columns C and H: the header changes nothing."""
    held = Lock(retention=Retention(GOVERNANCE, NOW - 1), holds=(HOLD,))
    for lock in (compliance(NOW + 1), held, Lock(holds=(HOLD,))):
        answers = {
            verdict(operation, Guarded(lock=lock), semantics=semantics, bypass=bypass)
            for bypass in (None, USER, ROOT)
        }
        assert len(answers) == 1


@pytest.mark.parametrize("operation", Operation)
def test_hold_forbids_what_retention_forbids_except_its_date(operation: Operation) -> None:
    """S3: retention and hold are independent, so a hold does not freeze an ended retention."""
    held = Guarded(lock=Lock(holds=(HOLD,)))
    retained = Guarded(lock=compliance(NOW + 1))

    if operation is Operation.CLEAR_RETENTION:
        assert verdict(operation, held) == "accepted"
    else:
        assert verdict(operation, held) == verdict(operation, retained)


@pytest.mark.parametrize("semantics", Semantics)
def test_append_only_goes_on_under_retention_and_holds(semantics: Semantics) -> None:
    """A log under a policy is locked at every commit; auditd must still write and rotate it."""
    for lock in (compliance(NOW + DAY), Lock(holds=(HOLD,))):
        log = Guarded(lock=lock, append_only=APPENDABLE)
        assert verdict(Operation.OPEN_FOR_WRITE, log, semantics=semantics) == "accepted"
        assert verdict(Operation.APPEND, log, semantics=semantics) == "accepted"
        assert verdict(Operation.ROTATE, log, semantics=semantics) == "accepted"
        assert verdict(Operation.WRITE, log, semantics=semantics) == "protected"
        assert verdict(Operation.REPLACE_VERSION, log, semantics=semantics) == "protected"


def test_append_only_yields_to_no_bypass() -> None:
    """It has no mode, so nothing says that it may be lifted."""
    log = Guarded(lock=governance(NOW + 1), append_only=APPENDABLE)

    assert verdict(Operation.PURGE_VERSION, log, bypass=ROOT) == "protected"
    assert verdict(Operation.CLEAR_APPEND_ONLY, log, bypass=ROOT) == "protected"
    assert verdict(Operation.CLEAR_RETENTION, log, bypass=ROOT) == "accepted"


def test_unknown_append_only_mark_counts_as_sealed_shut() -> None:
    """A damaged row must close the file, not open it."""
    for mark in (-1, 3):
        assert verdict(Operation.APPEND, Guarded(append_only=mark)) == "protected"
        assert verdict(Operation.ROTATE, Guarded(append_only=mark)) == "protected"


def test_locked_file_cannot_be_made_appendable() -> None:
    """Otherwise setting the flag would open the door that the lock closes."""
    guarded = Guarded(lock=governance(NOW + 1))

    assert verdict(Operation.SET_APPEND_ONLY, guarded, bypass=ROOT) == "protected"


@pytest.mark.parametrize(
    "operation",
    [
        Operation.RENAME_FROM,
        Operation.RENAME_EXCHANGE,
        Operation.ROTATE,
        Operation.MOVE_ANCESTOR,
        Operation.WEAKEN_SEMANTICS,
    ],
)
@pytest.mark.parametrize("semantics", Semantics)
def test_directory_with_a_protected_file_below_stays_in_place(
    operation: Operation, semantics: Semantics
) -> None:
    """An immutable file on ext4 falls to these alone: rename or EXCHANGE of a directory above."""
    directory = Guarded(descendants_protected_until_ns=NOW + 1)

    assert verdict(operation, directory, semantics=semantics, bypass=ROOT) == "protected"
    assert verdict(operation, directory, semantics=semantics, now_ns=NOW + 1) == "accepted"


def test_directory_with_a_protected_file_below_keeps_its_other_freedoms() -> None:
    """Only its place matters to what is below: its own mode and times are its own."""
    directory = Guarded(descendants_protected_until_ns=OPEN_NS)

    assert verdict(Operation.SET_MODE, directory) == "accepted"
    assert verdict(Operation.SET_TIMES, directory) == "accepted"


def test_bypass_needs_entitlement_and_a_reason() -> None:
    """The ledger records who and why; an empty why is a bypass that nobody can audit."""
    lock = governance(NOW + 1)

    assert purge(lock) == "protected"
    assert purge(lock, bypass=USER) == "not entitled"
    assert purge(lock, bypass=Bypass(entitled=True, reason=" \n")) == "not entitled"
    assert purge(lock, bypass=ROOT) == "accepted"
    with pytest.raises(errors.BypassNotPermitted, match="bypass group"):
        plan_retention(lock, None, now_ns=NOW, bypass=USER)
    with pytest.raises(errors.BypassNotPermitted, match="needs a reason"):
        plan_retention(lock, None, now_ns=NOW, bypass=Bypass(entitled=True, reason=""))


@pytest.mark.parametrize("mode", ["", "governance", "none", "GOVERNANCE "])
def test_damaged_mode_counts_as_compliance(mode: str) -> None:
    """A row edited in the database must not turn a lock into one that yields."""
    lock = Lock(retention=Retention(mode, NOW + 1))

    assert purge(lock, bypass=ROOT) == "protected"
    with pytest.raises(errors.Protected):
        plan_retention(lock, Retention(GOVERNANCE, NOW + 2), now_ns=NOW, bypass=ROOT)
    assert plan_retention(
        lock, Retention(COMPLIANCE, NOW + 1), now_ns=NOW, bypass=None
    ) == compliance(NOW + 1)


def message(
    operation: Operation, guarded: Guarded, *, semantics: Semantics = Semantics.FILE
) -> str:
    """What a refused person reads."""
    with pytest.raises(errors.Protected) as refusal:
        check(operation, guarded, semantics=semantics, now_ns=NOW, bypass=None)
    return str(refusal.value)


def test_refusal_names_every_rule_in_force_and_its_end() -> None:
    """Whoever meets EPERM must learn from `why` when to come back, in UTC."""
    both = Lock(retention=Retention(COMPLIANCE, NOW + DAY), holds=(HOLD,))
    ended = Lock(retention=Retention(COMPLIANCE, NOW), holds=(HOLD,))

    assert message(Operation.UNLINK, Guarded(lock=compliance(NOW + DAY))) == (
        "unlink refused: COMPLIANCE retention until 2026-11-23T15:04:05Z"
    )
    assert message(Operation.WRITE, Guarded(lock=both, append_only=APPENDABLE)) == (
        "write refused: append-only, COMPLIANCE retention until 2026-11-23T15:04:05Z,"
        " legal hold for case '2026-17'"
    )
    assert message(Operation.WRITE, Guarded(append_only=SEALING)) == (
        "write refused: sealed by rotation"
    )
    assert message(Operation.WRITE, Guarded(lock=ended)) == (
        "write refused: legal hold for case '2026-17'"
    )


def test_refusal_to_move_a_directory_says_until_when() -> None:
    """Held files have no date, and the year 2262 would be a lie."""
    dated = Guarded(descendants_protected_until_ns=NOW + DAY)
    held = Guarded(descendants_protected_until_ns=OPEN_NS)

    assert message(Operation.MOVE_ANCESTOR, dated) == (
        "move-ancestor refused: it holds protected files until 2026-11-23T15:04:05Z"
    )
    assert message(Operation.MOVE_ANCESTOR, held) == (
        "move-ancestor refused: it holds protected files without an end date"
    )


def test_protection_ends_when_retention_does_and_no_hold_is_on() -> None:
    """S3: Protected(now) = hold ON or RetainUntilDate > now."""
    assert not is_protected(None, NOW)
    assert not is_protected(Lock(), NOW)
    assert is_protected(compliance(NOW + 1), NOW)
    assert not is_protected(compliance(NOW), NOW)
    assert is_protected(Lock(retention=Retention(GOVERNANCE, NOW - 1), holds=(HOLD,)), NOW)


@given(
    until_ns=st.none() | st.integers(min_value=0, max_value=OPEN_NS - 1),
    held=st.booleans(),
    now_ns=st.integers(min_value=0, max_value=OPEN_NS - 1),
)
@settings(max_examples=200)
def test_bound_of_a_directory_agrees_with_the_lock_at_every_instant(
    *, until_ns: int | None, held: bool, now_ns: int
) -> None:
    """Directories keep the instant, files the lock; if they disagreed, one door would be open."""
    retention = None if until_ns is None else Retention(GOVERNANCE, until_ns)
    lock = Lock(retention=retention, holds=(HOLD,) if held else ())

    assert (protected_until_ns(lock) > now_ns) is is_protected(lock, now_ns)


def test_append_only_has_no_end() -> None:
    """A directory with a live log below must not be moved out of its policy, locked or not."""
    assert protected_until_ns(None) == 0
    assert protected_until_ns(Lock()) == 0
    assert protected_until_ns(None, append_only=APPENDABLE) == OPEN_NS
    assert protected_until_ns(compliance(NOW), append_only=SEALING) == OPEN_NS


def test_l1_default_retention_runs_from_the_commit_and_is_not_rounded() -> None:
    """L1: T + 1 day, not the next midnight."""
    policy = DirectoryPolicy(mode=GOVERNANCE, period_ns=DAY)

    assert retention_from_policy(policy, stamp_ns=NOW + 7) == governance(NOW + 7 + DAY)
    shortest = DirectoryPolicy(mode=COMPLIANCE, period_ns=1)
    assert retention_from_policy(shortest, stamp_ns=NOW) == compliance(NOW + 1)
    assert retention_from_policy(None, stamp_ns=NOW) is None
    assert retention_from_policy(DirectoryPolicy(append_only=True), stamp_ns=NOW) is None


def test_l2_explicit_lock_may_be_shorter_than_any_default() -> None:
    """L2: an unlocked version takes COMPLIANCE for a minute; there is no least period."""
    wanted = Retention(COMPLIANCE, NOW + 60 * SECOND)

    assert plan_retention(None, wanted, now_ns=NOW, bypass=None) == Lock(retention=wanted)


def test_l4_later_date_needs_no_bypass() -> None:
    """L4, and the same for COMPLIANCE; the same date again is no change and no error."""
    for lock, mode in ((governance(NOW + 10), GOVERNANCE), (compliance(NOW + 10), COMPLIANCE)):
        for until_ns in (NOW + 10, NOW + 20):
            wanted = Retention(mode, until_ns)
            planned = plan_retention(lock, wanted, now_ns=NOW, bypass=None)
            assert planned == Lock(retention=wanted)


def test_l5_earlier_date_needs_a_bypass() -> None:
    """L5: 403 without, 200 with."""
    lock = governance(NOW + 20)
    wanted = Retention(GOVERNANCE, NOW + 10)

    with pytest.raises(errors.Protected, match="set-retention refused: GOVERNANCE retention"):
        plan_retention(lock, wanted, now_ns=NOW, bypass=None)
    with pytest.raises(errors.BypassNotPermitted):
        plan_retention(lock, wanted, now_ns=NOW, bypass=USER)
    assert plan_retention(lock, wanted, now_ns=NOW, bypass=ROOT) == governance(NOW + 10)


def test_l8_l9_hold_outlasts_bypass_and_date() -> None:
    """A hold falls by its own removal only, and what was under it is then free."""
    held = add_hold(governance(NOW + 5), HOLD)

    assert purge(held, bypass=ROOT) == "protected"
    assert purge(held, now_ns=NOW + 6) == "protected"
    released = remove_hold(held, HOLD.case)
    assert purge(released, now_ns=NOW + 6) == "accepted"


def test_l10_l11_new_content_and_markers_pass_a_locked_version_under_s3_semantics() -> None:
    """PUT and DELETE of the key succeed; the version itself stays locked."""
    guarded = Guarded(lock=compliance(NOW + HOUR))

    for operation in (Operation.UNLINK, Operation.OPEN_TRUNCATE, Operation.WRITE):
        assert verdict(operation, guarded, semantics=Semantics.S3) == "accepted"
    for operation in (Operation.PURGE_VERSION, Operation.REPLACE_VERSION, Operation.DESTROY_KEY):
        assert verdict(operation, guarded, semantics=Semantics.S3, bypass=ROOT) == "protected"


def test_governance_may_become_compliance_but_never_back() -> None:
    """Retention only grows: what was refused before the change is refused after it."""
    stronger = plan_retention(
        governance(NOW + 10), Retention(COMPLIANCE, NOW + 10), now_ns=NOW, bypass=None
    )

    assert stronger == compliance(NOW + 10)
    with pytest.raises(errors.Protected):
        plan_retention(stronger, Retention(GOVERNANCE, NOW + 99), now_ns=NOW, bypass=ROOT)


def test_change_of_mode_with_an_earlier_date_needs_a_bypass() -> None:
    """Otherwise COMPLIANCE for a second would be the way out of GOVERNANCE for years."""
    wanted = Retention(COMPLIANCE, NOW + 1)

    with pytest.raises(errors.Protected):
        plan_retention(governance(NOW + 10), wanted, now_ns=NOW, bypass=None)
    assert plan_retention(governance(NOW + 10), wanted, now_ns=NOW, bypass=ROOT) == compliance(
        NOW + 1
    )


def test_ended_retention_may_be_replaced_or_cleared_by_anyone() -> None:
    """It protects nothing any more, whatever its mode was (S3's column X)."""
    ended = compliance(NOW)

    assert plan_retention(ended, None, now_ns=NOW, bypass=None) == Lock()
    assert plan_retention(
        ended, Retention(GOVERNANCE, NOW + 1), now_ns=NOW, bypass=None
    ) == governance(NOW + 1)
    assert plan_retention(None, None, now_ns=NOW, bypass=None) == Lock()


def test_retention_changes_leave_holds_alone() -> None:
    """S3: hold state survives retention changes, and a hold does not stop a bypass of the date."""
    held = add_hold(governance(NOW + 10), HOLD)

    cleared = plan_retention(held, None, now_ns=NOW, bypass=ROOT)
    assert cleared == Lock(holds=(HOLD,))
    extended = plan_retention(held, Retention(GOVERNANCE, NOW + 20), now_ns=NOW, bypass=None)
    assert extended.holds == (HOLD,)
    assert purge(cleared, bypass=ROOT) == "protected"


@pytest.mark.parametrize(
    ("mode", "until_ns"),
    [
        (COMPLIANCE, NOW),
        (COMPLIANCE, NOW - 1),
        (COMPLIANCE, 0),
        (COMPLIANCE, -1),
        (COMPLIANCE, NOW + MAX_PERIOD_NS + 1),
        (COMPLIANCE, 10**300),
        (COMPLIANCE, -(10**300)),
        ("", NOW + 1),
        ("NONE", NOW + 1),
        ("compliance", NOW + 1),
    ],
)
def test_values_that_would_weaken_a_lock_by_nonsense_are_invalid(mode: str, until_ns: int) -> None:
    """S3's row "date in the past": 400 in every column, the bypass included."""
    for current in (None, governance(NOW + 10), compliance(NOW + 10)):
        with pytest.raises(errors.InvalidRetention):
            plan_retention(current, Retention(mode, until_ns), now_ns=NOW, bypass=ROOT)


def test_longest_retention_is_a_hundred_years() -> None:
    """S3's limit, to the nanosecond."""
    wanted = Retention(COMPLIANCE, NOW + MAX_PERIOD_NS)

    assert plan_retention(None, wanted, now_ns=NOW, bypass=None).retention == wanted


RETENTIONS: Final = st.builds(
    Retention,
    mode=st.sampled_from([GOVERNANCE, COMPLIANCE]),
    until_ns=st.integers(min_value=NOW - 3, max_value=NOW + 3),
)


@given(RETENTIONS, st.none() | RETENTIONS, st.sampled_from(Operation))
@settings(max_examples=200)
def test_without_bypass_no_plan_opens_a_door(
    present: Retention, wanted: Retention | None, operation: Operation
) -> None:
    """The property behind every vector: protection at any later instant never shrinks."""
    before = Lock(retention=present)
    try:
        after = plan_retention(before, wanted, now_ns=NOW, bypass=None)
    except (errors.InvalidRetention, errors.Protected):
        return

    for now_ns in range(NOW, NOW + 5):
        for bypass in (None, ROOT):
            old = verdict(operation, Guarded(lock=before), now_ns=now_ns, bypass=bypass)
            new = verdict(operation, Guarded(lock=after), now_ns=now_ns, bypass=bypass)
            assert old in ("accepted", new)


def test_holds_of_two_cases_are_independent() -> None:
    """The end of one case must not free what another needs."""
    other = LegalHold(case="2026-18", reason="audit", holder=0, placed_ns=NOW)
    both = add_hold(add_hold(compliance(NOW + 1), HOLD), other)

    assert both.holds == (HOLD, other)
    assert both.retention == Retention(COMPLIANCE, NOW + 1)
    assert remove_hold(both, HOLD.case) == Lock(retention=both.retention, holds=(other,))


def test_hold_placed_twice_stays_as_it_was_placed_first() -> None:
    """S3's ON is idempotent, and the first reason is the evidence."""
    again = LegalHold(case=HOLD.case, reason="something else", holder=1, placed_ns=NOW + 1)

    assert add_hold(add_hold(None, HOLD), again) == Lock(holds=(HOLD,))


def test_removing_a_hold_that_is_not_on_names_those_that_are() -> None:
    """A mistyped case must not look like a release."""
    with pytest.raises(errors.InvalidArgument, match=r"'2026-71'; cases with a hold: '2026-17'"):
        remove_hold(Lock(holds=(HOLD,)), "2026-71")
    with pytest.raises(errors.InvalidArgument, match="cases with a hold: none"):
        remove_hold(None, "2026-17")


@pytest.mark.parametrize(
    "policy",
    [
        DirectoryPolicy(mode=COMPLIANCE),
        DirectoryPolicy(mode=COMPLIANCE, period_ns=-1),
        DirectoryPolicy(mode=COMPLIANCE, period_ns=MAX_PERIOD_NS + 1),
        DirectoryPolicy(mode="compliance", period_ns=DAY),
        DirectoryPolicy(period_ns=DAY),
    ],
)
def test_half_a_policy_is_an_error_not_no_policy(policy: DirectoryPolicy) -> None:
    """Elsewhere an empty field or a huge number of days switched the lock off."""
    with pytest.raises(errors.InvalidRetention):
        check_policy(policy)
    with pytest.raises(errors.InvalidRetention):
        retention_from_policy(policy, stamp_ns=NOW)


def test_mode_is_exactly_one_of_two_words() -> None:
    """S3: lower case is MalformedXML; commands are kinder, and only to ASCII."""
    assert parse_mode("GOVERNANCE") == GOVERNANCE
    assert parse_mode("COMPLIANCE") == COMPLIANCE
    assert parse_mode_of_command("governance") == GOVERNANCE
    assert parse_mode_of_command("compliance") == COMPLIANCE
    assert parse_mode_of_command("COMPLIANCE") == COMPLIANCE
    for text in ("", "governance", "Compliance", "COMPLIANCE ", "COMPLIANCE\0", "NONE"):
        with pytest.raises(errors.InvalidRetention, match="neither GOVERNANCE nor COMPLIANCE"):
            parse_mode(text)
    for text in ("", "Governance", "compl\u0131ance", " compliance", "none"):
        with pytest.raises(errors.InvalidRetention, match="neither GOVERNANCE nor COMPLIANCE"):
            parse_mode_of_command(text)


def test_legal_hold_is_on_or_off() -> None:
    """S3: "Legal Hold must be either of 'ON' or 'OFF'"."""
    assert parse_legal_hold("ON")
    assert not parse_legal_hold("OFF")
    for text in ("", "on", "Off", "1", "ON\n"):
        with pytest.raises(errors.InvalidRetention, match="neither ON nor OFF"):
            parse_legal_hold(text)


@pytest.mark.parametrize(
    ("text", "until_ns"),
    [
        ("90s", NOW + 90 * SECOND),
        ("45m", NOW + 45 * 60 * SECOND),
        ("12h", NOW + 12 * HOUR),
        ("30d", NOW + 30 * DAY),
        ("2w", NOW + 14 * DAY),
        ("7y", NOW + 7 * 365 * DAY),
        ("100y", NOW + MAX_PERIOD_NS),
        ("36500d", NOW + MAX_PERIOD_NS),
        ("3153600000s", NOW + MAX_PERIOD_NS),
        ("2026-11-22T15:04:06Z", NOW + SECOND),
        ("2026-11-22t15:04:06z", NOW + SECOND),
        ("2026-11-22T15:04:05.000000001Z", NOW + 1),
        ("2026-11-22T15:04:05.5Z", NOW + SECOND // 2),
        ("2026-11-22T17:04:06+02:00", NOW + SECOND),
        ("2026-11-22T09:34:06-05:30", NOW + SECOND),
        ("2026-11-22T15:04:06-00:00", NOW + SECOND),
        ("2026-11-23", NOW - NOW % DAY + DAY),
    ],
)
def test_until_is_a_time_a_date_or_a_period(text: str, until_ns: int) -> None:
    """The forms that fingers know from S3, GNU and sleep(1); dates are midnight UTC."""
    assert parse_until(text, now_ns=NOW) == until_ns


HOSTILE: Final = [
    "",
    " ",
    "0",
    "0s",
    "0d",
    "00d",
    "030d",
    "-1d",
    "+1d",
    "--1d",
    "1",
    "30",
    "d",
    "1.5d",
    "1e3d",
    "0x10d",
    "1_000d",
    "30D",
    "30 d",
    " 30d",
    "30d ",
    "30d\n",
    "30d\0",
    "\x0030d",
    "30d30d",
    "1mo",
    "101y",
    "36501d",
    "3153600001s",
    "9999999999y",
    "9" * 300 + "d",
    "9" * 300,
    "1" + "0" * 100_000 + "s",
    "\u0663\u0660d",  # 30 in Arabic-Indic digits
    "\uff13\uff10d",  # 30 in full-width digits
    "\u00b2d",  # superscript two
    "nan",
    "NaN",
    "inf",
    "-inf",
    "none",
    "None",
    "null",
    "infinite",
    "forever",
    "now",
    "tomorrow",
    "2026-11-22T15:04:05Z",  # now
    "2026-11-22T15:04:04.999999999Z",
    "2026-11-22",  # this morning
    "1970-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2126-11-22",
    "292277026597-01-01T00:00:00Z",
    "+292277026597-01-01",
    "-2030-01-01",
    "2030-01-01T00:00:00",
    "2030-01-01 00:00:00Z",
    "2030-01-01T00:00Z",
    "2030-01-01T00:00:00.Z",
    "2030-01-01T00:00:00,5Z",
    "2030-01-01T00:00:00." + "0" * 10 + "Z",
    "2030-01-01T00:00:00Z\n",
    "2030-01-01T00:00:00Z\0",
    "2030-01-01T00:00:00+24:00",
    "2030-01-01T00:00:00+02:60",
    "2030-01-01T00:00:00+0200",
    "2030-01-01T24:00:00Z",
    "2030-01-01T00:60:00Z",
    "2030-06-30T23:59:60Z",
    "2030-02-30",
    "2030-13-01",
    "2030-00-01",
    "2030-1-1",
    "01/02/2030",
    "20300101",
    "1924905600",
    "2030-01-01Z",
    "\u0662\u0660\u0663\u0660-01-01",
    "2030\u201001\u201001",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nonsense_is_never_a_date(text: str) -> None:
    """Each was accepted, or overflowed into the past, in some product; the message stays short."""
    with pytest.raises(errors.InvalidRetention) as refusal:
        parse_until(text, now_ns=NOW)
    assert len(str(refusal.value)) < 300


@given(st.text(alphabet="0123456789-:.TZ+smhdwy \0\u0663", max_size=40))
@settings(max_examples=200)
def test_any_text_is_a_date_within_the_limits_or_an_error(text: str) -> None:
    """No input overflows, crashes with another error, or frees a file."""
    try:
        until_ns = parse_until(text, now_ns=NOW)
    except errors.InvalidRetention:
        return
    assert NOW < until_ns <= NOW + MAX_PERIOD_NS


def test_messages_say_what_to_write_instead() -> None:
    """Errors name the input, or the limit it broke, and an accepted form."""
    cases = {
        "soon": r"'soon' is no retain-until date; write 2033-01-31T12:00:00Z",
        "2026-11-22": "must be in the future; it is 2026-11-22T15:04:05Z now",
        "2199-01-01": r"at most 36500 days \(100 years\) away: 2126-10-29T15:04:05Z",
        "101y": "must be positive and at most 36500 days",
        "2030-02-30": "'2030-02-30' is not in the calendar",
    }
    for text, expected in cases.items():
        with pytest.raises(errors.InvalidRetention, match=expected):
            parse_until(text, now_ns=NOW)


def test_period_is_a_length_without_a_now() -> None:
    """`protect DIR --for 7y` keeps the length; a date would not be one."""
    assert parse_period("7y") == 7 * 365 * DAY
    for text in ("", "0d", "2033-01-31", "7 y", "-7y", "101y"):
        with pytest.raises(errors.InvalidRetention, match="period"):
            parse_period(text)


def test_object_lock_value_is_mode_and_end() -> None:
    """The xattr `s3.object-lock` takes both at once, because S3 wants both."""
    assert parse_object_lock("COMPLIANCE 30d", now_ns=NOW) == Retention(COMPLIANCE, NOW + 30 * DAY)
    assert parse_object_lock("GOVERNANCE 2026-11-23", now_ns=NOW).mode == GOVERNANCE
    for text in (
        "",
        "COMPLIANCE",
        "COMPLIANCE ",
        "30d",
        " 30d",
        "COMPLIANCE  30d",
        " COMPLIANCE 30d",
        "COMPLIANCE 30d ",
        "COMPLIANCE\t30d",
        "compliance 30d",
        "COMPLIANCE 0d",
        "COMPLIANCE 30d GOVERNANCE 1s",
    ):
        with pytest.raises(errors.InvalidRetention):
            parse_object_lock(text, now_ns=NOW)


def test_date_is_printed_in_utc_with_a_fraction_only_if_it_has_one() -> None:
    """Readable where it can be, exact where it must be."""
    assert format_until(NOW) == "2026-11-22T15:04:05Z"
    assert format_until(NOW + SECOND // 2) == "2026-11-22T15:04:05.5Z"
    assert format_until(NOW + 1) == "2026-11-22T15:04:05.000000001Z"
    assert format_until(NOW - NOW % (100 * SECOND)) == "2026-11-22T15:03:20Z"
    assert format_until(OPEN_NS) == "2262-04-11T23:47:16.854775807Z"


@given(st.integers(min_value=NOW + 1, max_value=NOW + MAX_PERIOD_NS))
@settings(max_examples=200)
def test_printed_date_set_again_is_no_shortening(until_ns: int) -> None:
    """A tool that copies the value back must not meet EPERM for a lost fraction of a second."""
    assert parse_until(format_until(until_ns), now_ns=NOW) == until_ns
