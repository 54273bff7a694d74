"""What ends a lock: only time that was measured.

A date that somebody set, and time in which the machine was off, make locks longer. How much longer
is not said to the nanosecond, so what the filesystem's clock for locks shows is taken from it, and
held to the law. All in nanoseconds.
"""

SECOND = 10**9
CATCHING_UP = 52
"""Behind, it may go faster than time by this part of it: a week a year."""


class LockClock:
    """The law for the clock by which locks end."""

    def __init__(self, now: int) -> None:
        self.shown = now * SECOND
        self._latest = self.shown  # what it may show at most
        self._least = self.shown  # by what was measured
        self._shown_before = self.shown  # by this process
        self._withheld = 0  # measured while the date was false
        self._was_ever_behind = False
        self.date_is_false = False

    def pass_time(self, seconds: int) -> None:
        """So much was measured."""
        if self.date_is_false:
            self._withheld += seconds * SECOND
        else:
            self._go_on(seconds * SECOND)

    def _go_on(self, measured: int) -> None:
        self._latest += measured + measured // CATCHING_UP + 1
        self._least += measured

    def set_date(self, *, is_false: bool) -> None:
        """Somebody set the date, to one that is days away, or right again: then all counts."""
        self.date_is_false = is_false
        if not is_false:
            self._go_on(self._withheld)
            self._withheld = 0

    def die(self) -> None:
        """The process is gone. What it did not write down is measured again, or not at all."""
        self._least = self._shown_before = 0

    def start_anew(self) -> None:
        """The machine is: nobody measured how long that took."""
        self.set_date(is_false=False)
        self.die()
        self._was_ever_behind = True

    def show(self, instant: int, now: int) -> None:
        """It shows this, while the store's time is `now` in seconds. Raises AssertionError."""
        latest = min(self._latest, (now + 1) * SECOND - 1)
        assert instant <= latest, "a lock would end before its time was measured"
        # A stamp may be a nanosecond ahead of the date, which stays the bound of what is measured.
        least = max(min(self._least, now * SECOND), self._shown_before)
        assert instant >= least, "the clock for locks does not go on"
        if not (self._was_ever_behind or self.date_is_false):
            assert instant // SECOND == now, "nothing was wrong, and a lock would end late"
        self.shown = self._shown_before = self._least = instant
