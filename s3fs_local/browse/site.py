"""What every page needs: the store's answers, the address of the page, and the frame around it."""

from typing import Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse

from s3fs_local.browse.answers import Answers
from s3fs_local.browse.templating import path_text, render_alone
from s3fs_local.errors import InvalidArgument

PARAMETER_CHARACTERS_MAX: Final = 20_000


class Crumb(Struct, frozen=True):
    """A directory on the way to where we are."""

    name: str
    path: bytes


class Site(Struct, frozen=True):
    """The pages of one store."""

    answers: Answers
    folder: str

    def page(
        self, template: str, *, title: str, status: int = 200, **values: object
    ) -> HTMLResponse:
        """The template in the frame of all pages."""
        html = render_alone(
            template,
            title=title,
            base=self.folder,
            store=str(self.answers.store),
            **{"section": "", **values},
        )
        return HTMLResponse(html, status_code=status)

    def address(self, section: str, path: bytes) -> str:
        """The URL of a page about a path."""
        return f"{self.folder}/{section}/{path_text(path)}"


def site_of(request: Request) -> Site:
    """Whose pages they are."""
    site: Site = request.app.state.site
    return site


def path_of(request: Request) -> bytes:
    """The path in the store that the page is about: any bytes, as they stand in the URL."""
    raw: bytes = request.scope["raw_path"].split(b"?")[0]
    below = raw.removeprefix(site_of(request).folder.encode())
    return unquote_to_bytes(below.split(b"/", 2)[2]).strip(b"/")


def parameter(request: Request, name: str) -> str | None:
    """A member of the query; None where it is not there, or empty.

    Raises:
        InvalidArgument: it is longer than anything sensible.
    """
    value = request.query_params.get(name)
    if value is not None and len(value) > PARAMETER_CHARACTERS_MAX:
        raise InvalidArgument(f"{name} is too long")
    return value.strip() or None if value is not None else None


def number_parameter(request: Request, name: str) -> int:
    """A member of the query that is a number; 0 where it is not there.

    Raises:
        InvalidArgument: it is none.
    """
    text = parameter(request, name) or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise InvalidArgument(f"{name} must be a number")
    return int(text)


def bytes_parameter(request: Request, name: str) -> bytes:
    """A member of the query that holds encoded bytes."""
    return unquote_to_bytes(parameter(request, name) or "")


def crumbs_of(path: bytes) -> list[Crumb]:
    """Every part of the path, the root first."""
    parts = path.split(b"/") if path else []
    return [
        Crumb("" if not depth else _shown(parts[depth - 1]), b"/".join(parts[:depth]))
        for depth in range(len(parts) + 1)
    ]


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
