"""A browser as far as the pages see one: asks an ASGI application, keeps cookies, runs nothing."""

import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import trio
from msgspec import Struct
from starlette.types import ASGIApp, Message

from s3fs_local.browse.answers import Answer, Answers, OnData, Sink
from s3fs_local.browse.application import make_pages
from s3fs_local.browse.entrance import Entrance
from s3fs_local.control.commands import carry_out
from s3fs_local.control.context import Context
from s3fs_local.control.requests import Request
from tests.control.test_commands_on_a_store import no_status
from tests.engine.memory_store import ALICE, MemoryStore

PORT: Final = 8123
FOLDER: Final = "/folder"
HOST: Final = f"127.0.0.1:{PORT}"


class Answered(Struct, frozen=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The page."""
        return self.body.decode()

    @property
    def words(self) -> str:
        """What a person reads of it."""
        return " ".join(re.sub(r"<[^>]*>", " ", self.text).split())


class Visitor:
    """Asks for pages."""

    def __init__(self, application: ASGIApp, *, is_let_in: bool = True) -> None:
        """Of the application."""
        self.application = application
        self.headers: dict[str, str] = {"host": HOST}
        if is_let_in:
            self.headers["cookie"] = "s3fs-local-browse=session"

    def get(self, path: str, **headers: str) -> Answered:
        """The page below the folder, with these headers (underscores for dashes)."""
        return self.ask("GET", FOLDER + path, headers=headers)

    def post(self, path: str, form: dict[str, str], **headers: str) -> Answered:
        """What comes of sending the form from one of our pages."""
        kept = {"origin": f"http://{HOST}"} | headers
        return self.ask("POST", FOLDER + path, headers=kept, body=urlencode(form).encode())

    def ask(
        self, method: str, path: str, *, headers: dict[str, str], body: bytes = b""
    ) -> Answered:
        """What comes of any request."""
        sent = self.headers | {name.replace("_", "-"): text for name, text in headers.items()}
        scope = _scope(method, path, sent)
        messages: list[Message] = []
        trio.run(_run, self.application, scope, body, messages)
        start = messages[0]
        return Answered(
            status=start["status"],
            headers={name.decode(): value.decode() for name, value in start["headers"]},
            body=b"".join(message.get("body", b"") for message in messages[1:]),
        )


def _scope(method: str, url: str, headers: dict[str, str]) -> dict[str, Any]:
    path, _, query = url.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": _decoded(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), text.encode()) for name, text in headers.items() if text],
        "client": ("127.0.0.1", 40_000),
        "server": ("127.0.0.1", PORT),
    }


def _decoded(path: str) -> str:
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), path.encode())
    return raw.decode("utf-8", "replace")


async def _run(
    application: ASGIApp, scope: dict[str, Any], body: bytes, messages: list[Message]
) -> None:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await trio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        messages.append(message)
        await trio.lowlevel.checkpoint()

    with trio.fail_after(60):
        await application(scope, receive, send)


def answer_of_memory(store: MemoryStore) -> Answer:
    """The answers of a store in memory to its owner."""

    async def answer(request: Request, on_data: OnData) -> object:
        context = Context(
            filesystem=store.fs, caller=ALICE, outlet=Sink(on_data), describe=no_status
        )
        return await carry_out(request, context)

    return answer


def entrance_to(store: MemoryStore) -> Entrance:
    """The pages of a store in memory, behind an entrance that nobody came through."""
    pages = make_pages(Answers(Path("/srv/<store>"), answer_of_memory(store)), FOLDER)
    return Entrance(pages, port=PORT, folder=FOLDER, token="token", session="session")  # noqa: S106
