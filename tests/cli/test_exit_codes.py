"""Exit codes and advice: none forgotten, none reused."""

import pytest

from s3fs_local import errors
from s3fs_local.cli.advice import ADVICE
from s3fs_local.cli.exit_codes import EXIT_CODES, MEANINGS, ExitCode, exit_code_of
from s3fs_local.control.protocol import Failure, error_classes, error_of, failure_of

LEAVES = [kind for kind in error_classes(errors.S3fsLocalError) if not kind.__subclasses__()]


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_has_an_exit_code_and_advice(kind: type[errors.S3fsLocalError]) -> None:
    """A new error must be given both before it is released."""
    assert kind in EXIT_CODES
    assert kind in ADVICE


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_survives_the_control_socket(kind: type[errors.S3fsLocalError]) -> None:
    """Class and words are the same on the other side."""
    arrived = error_of(failure_of(kind("a message")))

    assert type(arrived) is kind
    assert str(arrived) == "a message"


def test_an_unknown_failure_is_a_plain_one() -> None:
    """A newer daemon may know errors that an older command does not."""
    arrived = error_of(Failure(code="BrandNew", message="hm"))

    assert type(arrived) is errors.ControlError
    assert str(arrived) == "BrandNew: hm"
    assert exit_code_of(arrived) is ExitCode.FAILURE


def test_every_exit_code_has_its_meaning() -> None:
    """The manual and the reference tell them."""
    assert set(MEANINGS) == set(ExitCode)


def test_exit_codes_keep_their_numbers() -> None:
    """Scripts compare with these; a change here breaks them."""
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "FAILURE": 1,
        "USAGE": 2,
        "NOT_A_STORE": 3,
        "STORE_IN_USE": 4,
        "WRONG_KEY": 5,
        "PROTECTED": 6,
        "NOT_FOUND": 7,
        "STORAGE_FAILED": 8,
        "DEGRADED": 9,
        "MOUNT_FAILED": 10,
        "NOT_MOUNTED": 11,
        "STORE_DAMAGED": 12,
        "FORMAT_TOO_NEW": 13,
        "NOT_PERMITTED": 14,
        "ALREADY_EXISTS": 15,
        "WRITER_ACTIVE": 16,
        "DAEMON_UNREACHABLE": 17,
        "NOT_CONFIRMED": 18,
        "STORE_FULL": 19,
        "READ_ONLY": 20,
        "WRONG_KIND": 21,
        "NOT_SUPPORTED": 22,
        "ARCHIVED": 23,
        "DIVERGED": 25,
        "ALTERED": 26,
        "INTERRUPTED": 130,
    }
