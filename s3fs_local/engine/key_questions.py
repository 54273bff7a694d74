"""What a key service is to be asked, and what it answered: the loop wants, a thread asks.

A question is a hint, as a missing piece of a pack is: whoever does not find its answer wants again.
"""

import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from s3fs_local.crypto.key_service import MadeKey
from s3fs_local.errors import S3fsLocalError

ANSWER_SECONDS: Final = 30.0
"""An answer that nobody took for so long (its program was killed) is no longer the truth."""

Answer = bytes | MadeKey


class _Question(Struct, frozen=True):
    number: int
    ask: Callable[[], Answer]


class _Answered(Struct, frozen=True):
    answer: Answer | S3fsLocalError
    at: float


class KeyQuestions:
    """Questions and answers, by the number of the data key that they are about."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._question: _Question | None = None
        self._answers: dict[int, _Answered] = {}

    @property
    def is_open(self) -> bool:
        """Whether something was wanted and not asked yet."""
        return self._question is not None

    def answer(self, number: int, ask: Callable[[], Answer]) -> Answer | None:
        """What the service answered; None where it has to be asked first, by `put`.

        Raises:
            S3fsLocalError: that is what it answered.
        """
        found = self._answers.pop(number, None)
        if found is not None and self._seconds() - found.at < ANSWER_SECONDS:
            if isinstance(found.answer, S3fsLocalError):
                raise found.answer
            return found.answer
        self._question = _Question(number, ask)
        return None

    def put(self) -> None:
        """What was wanted last is answered. Blocks for a bounded time; may run in a thread."""
        question = self._question
        if question is None:
            return
        try:
            answer: Answer | S3fsLocalError = question.ask()
        except S3fsLocalError as error:
            answer = error
        self._answers[question.number] = _Answered(answer, self._seconds())
        # The loop goes on meanwhile: somebody else may want something else by now.
        if self._question is question:
            self._question = None
