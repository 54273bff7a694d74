"""What a key service is to be asked, and what it answered: the loop wants, a thread asks.

Whoever wants something takes the question at once and has it put in a thread; whoever does not find
an answer then wants again.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

import trio
from msgspec import Struct

from s3fs_local.crypto.key_service import MadeKey
from s3fs_local.errors import S3fsLocalError

ANSWER_SECONDS: Final = 30.0
"""An answer that nobody took for so long (its program was killed) is no longer the truth."""

_THREADS: Final = trio.CapacityLimiter(8)
"""Threads of their own: a service that hangs must not keep an fsync waiting for one."""

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

    def take(self) -> Callable[[], None] | None:
        """What puts the question that was wanted last; None where there is none.

        To be taken in the step in which it was wanted, before anybody wants something else. What is
        returned blocks for a bounded time, and may run in a thread.
        """
        question, self._question = self._question, None
        return None if question is None else partial(self._put, question)

    def put(self) -> None:
        """What was wanted last is answered. Blocks: for those who have no loop to keep going."""
        question = self.take()
        if question is not None:
            question()

    async def put_in_thread(self) -> None:
        """What was wanted last is answered, while the loop goes on."""
        question = self.take()
        if question is not None:
            await trio.to_thread.run_sync(question, limiter=_THREADS)

    def _put(self, question: _Question) -> None:
        try:
            answer: Answer | S3fsLocalError = question.ask()
        except S3fsLocalError as error:
            answer = error
        self._answers[question.number] = _Answered(answer, self._seconds())
