"""How a call fails."""


class Refused(Exception):
    """The call fails; the argument is the name of the error's class."""


class Protected(Refused):
    """A lock forbids it."""

    def __init__(self) -> None:
        super().__init__("Protected")
