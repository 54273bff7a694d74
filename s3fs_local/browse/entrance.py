"""Who may see the pages: one browser, the one in which the link that we printed was opened first.

Other users of the machine can connect to the port too, and pages of any other site can make the
browser ask us. So every request must

- name us in its Host header, or a site whose name was pointed at 127.0.0.1 would count as us (DNS
  rebinding);
- not come from another page, as far as the browser says where it comes from (Sec-Fetch-Site), and
  where it changes something say so in its Origin header (CSRF);
- bear the cookie that was given for the token in the link. The token is good for once. A cookie
  goes to every port of a host, so ours is bound to a folder that nobody can guess: a server of
  somebody else on another port is never given it.

No page runs a script or fetches anything from elsewhere, whatever it shows (`POLICY`).
"""

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from s3fs_local.browse.templating import render_alone
from s3fs_local.system.randomness import Randomness

COOKIE: Final = "s3fs-local-browse"
_SECRET_BYTES: Final = 32
_FOLDER_BYTES: Final = 12

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, forms would send Origin: null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Entrance:
    """An ASGI application in front of the pages: refuses, lets in, or passes on."""

    def __init__(self, pages: ASGIApp, *, port: int, folder: str, token: str, session: str) -> None:
        """`folder` is the path below which everything lies, without a slash at its end."""
        self._pages: Final = pages
        self._hosts: Final = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._folder: Final = folder
        self._session: Final = session
        self._token: str | None = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await self._pages(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # which closes a websocket that somebody asked for

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answer(Request(scope)) or self._pages
        await answer(scope, receive, send_guarded)

    def _answer(self, request: Request) -> Response | None:
        """None: the pages answer."""
        path = request.scope["path"]
        if request.headers.get("host", "") not in self._hosts:
            return _refusal("host")
        if request.method not in {"GET", "HEAD", "POST"}:
            return _refusal("method", status=405)
        if path == f"{self._folder}/enter" and request.method == "GET":
            return self._enter(request)
        if not _comes_from_us(request):
            return _refusal("origin")
        if path.startswith(f"{self._folder}/static/"):
            return None
        return None if self._is_let_in(request) else _refusal("session")

    def _is_let_in(self, request: Request) -> bool:
        given = request.cookies.get(COOKIE, "")
        return hmac.compare_digest(given.encode(), self._session.encode())

    def _enter(self, request: Request) -> Response:
        """The first who knows the token is let in."""
        if not self._is_let_in(request):
            given = parse_qs(request.scope["query_string"].decode("latin-1")).get("token", [""])
            expected, known = self._token or "", self._token is not None
            if not (hmac.compare_digest(given[0].encode(), expected.encode()) and known):
                return _refusal("token")
            self._token = None
        # Not a redirect: on one that began at another site the browser would send no strict cookie.
        page = HTMLResponse(render_alone("enter.html", base=self._folder))
        page.set_cookie(
            COOKIE, self._session, path=f"{self._folder}/", httponly=True, samesite="strict"
        )
        return page


def new_folder(randomness: Randomness) -> str:
    """A path that nobody can guess."""
    return f"/{randomness.bytes(_FOLDER_BYTES).hex()}"


def new_secret(randomness: Randomness) -> str:
    """A token or a session."""
    return randomness.bytes(_SECRET_BYTES).hex()


def _comes_from_us(request: Request) -> bool:
    headers: Headers = request.headers
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    return request.method != "POST" or headers.get("origin") == f"http://{headers['host']}"


def _refusal(why: str, status: int = 403) -> Response:
    return HTMLResponse(render_alone("refused.html", why=why), status_code=status)
