"""Pages from templates; whatever is put into one is escaped."""

from typing import Final
from urllib.parse import quote_from_bytes, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from s3fs_local.rules.printing import human_size, printable

_STEPS_OF_BARS: Final = 20


def moment(text: str | None) -> Markup:
    """RFC 3339 as people read it, to the second; exact for machines, and on hovering."""
    if not text:
        return Markup("")
    return Markup(
        '<time datetime="{0}" title="{0}"><span>{1}</span> <span>{2}</span></time>'
    ).format(text, text[:10], text[11:19])


def bar_height(value: int, most: int) -> int:
    """0 for nothing, else 1 to 20: the number of a class in the style sheet."""
    if not value:
        return 0
    return max(1, round(_STEPS_OF_BARS * value / max(most, 1)))


def path_text(path: bytes) -> str:
    """The path as it stands in a URL."""
    return quote_from_bytes(path)


def with_query(url: str, **members: str | int | None) -> str:
    """The URL with those members that have a value."""
    given = {name: value for name, value in members.items() if value not in {None, ""}}
    return f"{url}?{urlencode(given)}" if given else url


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("s3fs_local.browse"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "size": human_size,
        "printable": printable,
        "moment": moment,
        "path_text": path_text,
    }
    environment.globals |= {"with_query": with_query, "bar_height": bar_height}
    return environment


_ENVIRONMENT: Final = _environment()


def render_alone(template: str, **values: object) -> str:
    """A page that knows nothing of the store."""
    return _ENVIRONMENT.get_template(template).render(values)
