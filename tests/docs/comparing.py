"""Whether a command printed what a page shows, where ids, dates and places differ each time."""

import re
from typing import Final

_KINDS: Final = {
    "instant": r"\d{4}-\d\d-\d\dT[\d:.-]+Z?",  # in a narrow column its end is cut
    "day": r"\d{4}-\d\d-\d\d",
    "day_in_a_name": r"(?<=-)20\d{6}\b",
    "http_date": r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT",
    "digest": r"\b[0-9a-f]{32,64}\b",
    "version_id": r"\b[0-9a-z]{20}\b",
    "short_id": r"(?<=~)[0-9a-z]{7}\b",
    "process": r"(?<=process )\d+",
    "temporary": r"\bsed[A-Za-z0-9]{6}\b",
    "large_size": r"\d+(?:\.\d+)? [GT]iB",
}
"""What is as good as anything else of its kind."""
_ANYTHING: Final = "…"
_NUMBER: Final = r"\d[\d.,]*(?: [KMGT]?i?B\b)?"
_RELATED_BYTES_MIN: Final = 4


class Comparison:
    """Compares, and remembers which id of a page is which id of this run."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def translated(self, command: str) -> str:
        """The command of the page, with the ids that this run has in their place."""

        def of_this_run(word: re.Match[str]) -> str:
            for shown, real in self._ids.items():
                for whole, ours in ((shown, real), (shown[-7:], real[-7:])):
                    if whole.startswith(word[0]):
                        return ours[: len(word[0])]
            return word[0]

        return re.sub(rf"\b[0-9a-z]{{{_RELATED_BYTES_MIN},20}}\b", of_this_run, command)

    def differs(self, *, shown: str, printed: str, numbers_vary: bool = False) -> bool:
        """Whether what was printed is not what is shown; remembers the ids otherwise."""
        kinds = _KINDS | ({"number": _NUMBER} if numbers_vary else {})
        names: list[str] = []
        either = "|".join(f"(?P<{name}>{kind})" for name, kind in kinds.items())

        def pattern_of(shown_part: str) -> str:
            pieces, at = [], 0
            for match in re.finditer(either, shown_part):
                pieces.append(_literal(shown_part[at : match.start()]))
                pieces.append(f"({kinds[match.lastgroup or '']})")
                names.append(match[0])
                at = match.end()
            return "".join([*pieces, _literal(shown_part[at:])])

        pattern = ".*?".join(pattern_of(part) for part in _parts(_lines(self.translated(shown))))
        match = re.fullmatch(pattern, _lines(printed), re.DOTALL)
        if match is None:
            return True
        for shown_word, real in zip(names, match.groups(), strict=True):
            if re.fullmatch(r"[0-9a-z]{7}|[0-9a-z]{20}", shown_word):
                self._ids[shown_word] = real
        return False


def _parts(shown: str) -> list[str]:
    """What stands between `…`; one on a line of its own may stand for no line at all."""
    return re.split(rf"(?:^{_ANYTHING}\n|\n{_ANYTHING}$|\n{_ANYTHING}(?=\n)|{_ANYTHING})", shown)


def _literal(text: str) -> str:
    """The text itself, but columns may be wider or narrower."""
    return re.sub(r"(?:\\ )+", "[ \t]+", re.escape(text))


def _lines(text: str) -> str:
    """Without what no page shows: line numbers of the shell, margins, and the rules of tables."""
    text = re.sub(r"(?:bash|/dev/fd/\d+): line \d+: ", "bash: ", text)
    stripped = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in stripped if line.strip("─"))
