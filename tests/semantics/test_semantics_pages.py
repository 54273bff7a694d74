"""What docs/semantics.md promises of pages in the browser."""

import http.cookiejar
import json
import os
import re
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.browse.serving import served
from tests.browse.visitor import FOLDER, Visitor, entrance_to
from tests.engine.memory_store import MemoryStore
from tests.mounting import MountedStore, s3fs_local
from tests.semantics.promises import promise


@promise("The pages of `browse` are for one browser: the one in which the link is opened first.")
def test_pages_are_for_one_browser(store: MemoryStore) -> None:
    """The first who knows the token; nobody without its cookie; no form of another page."""
    store.write("secret", b"inside")
    entrance = entrance_to(store)
    first, second = (Visitor(entrance, is_let_in=False) for _ in range(2))
    cookie = first.get("/enter?token=token").headers["set-cookie"].split(";")[0]
    first.headers["cookie"] = cookie

    assert "secret" in first.get("/tree/").words
    assert second.get("/enter?token=token").status == 403
    for path in ("/tree/", "/raw/secret", "/chart/classes"):
        refused = second.get(path)
        assert refused.status == 403
        assert "inside" not in refused.text
        assert "secret" not in refused.words
    assert first.get("/tree/", sec_fetch_site="cross-site").status == 403
    assert first.post("/restore/secret", {}, origin="http://elsewhere").status == 403


@pytest.mark.mount
@promise(
    "A page shows and does what a command would, for whoever began `browse`, with the same refusals"
    " and the same records."
)
def test_pages_do_what_commands_do(shared_mount: MountedStore, folder: Path) -> None:
    """Through the daemon of a mounted store: the file changes in the mount, the ledger tells it."""
    (folder / "f").write_bytes(b"one")
    (folder / "f").write_bytes(b"two")
    (folder / "locked").write_bytes(b"one")
    (folder / "locked").write_bytes(b"two")
    s3fs_local("retention", "set", "compliance", "1d", folder / "locked")
    with served(shared_mount.store) as link:
        jar = http.cookiejar.CookieJar()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        browser.open(link, timeout=120)
        base = link.rpartition("/")[0]
        origin = re.match("http://[^/]*", base)
        assert origin is not None

        def page(path: str, form: dict[str, str] | None = None) -> str:
            body = None if form is None else urllib.parse.urlencode(form).encode()
            request = urllib.request.Request(f"{base}/{path}", body)  # noqa: S310  ours, above
            request.add_header("Origin", origin[0])
            text: bytes = browser.open(request, timeout=120).read()
            return text.decode()

        assert "locked" in page(f"tree/{folder.name}")
        page(f"restore/{folder.name}/f", {"version": "previous"})
        assert (folder / "f").read_bytes() == b"one"
        assert "because a lock protects it" in page(f"restore/{folder.name}/locked")
        page(f"restore/{folder.name}/locked", {"version": "previous"})
        assert (folder / "locked").read_bytes() == b"two"

    exported = s3fs_local("ledger", "export", shared_mount.store).stdout.splitlines()
    events = [json.loads(line) for line in exported]
    restores = [text for text in map(json.dumps, events) if '"restore"' in text]
    assert restores
    assert f'"{os.getuid()}"' in restores[-1] or f": {os.getuid()}" in restores[-1]


@promise("A restore on a page shows first what it will do, and can be undone on a page.")
def test_a_restore_on_a_page_is_shown_and_undone(store: MemoryStore) -> None:
    """The preview changes nothing."""
    store.write("f", b"one")
    store.tick()
    store.write("f", b"two")
    visitor = Visitor(entrance_to(store))
    assert "earlier content f 3 B" in visitor.get("/restore/f").words
    assert store.read("f") == b"two"

    store.tick()
    done = visitor.post("/restore/f", {"version": "previous"})
    assert store.read("f") == b"one"
    told = visitor.get(done.headers["location"].removeprefix(FOLDER))
    undo = re.search(r'href="/folder(/restore/f\?[^"]*)">Undo', told.text)
    assert undo is not None
    at = re.search(r'name="at" value="([^"]*)"', visitor.get(undo[1]).text)
    assert at is not None
    visitor.post("/restore/f", {"at": at[1]})
    assert store.read("f") == b"two"


@promise("What people stored never runs in the browser, whatever it is.")
def test_stored_content_is_given_as_a_file(store: MemoryStore) -> None:
    """No answer of ours lets a script run, nor is any content given as a page or a drawing."""
    content = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    store.write("drawing.svg", content)
    visitor = Visitor(entrance_to(store))
    for path in ("/file/drawing.svg", "/tree/", "/diff/drawing.svg"):
        answered = visitor.get(path)
        assert "<script" not in answered.text
        assert "script-src" not in answered.headers["content-security-policy"]
        assert answered.headers["content-security-policy"].startswith("default-src 'none'")
    given = visitor.get("/raw/drawing.svg").headers
    assert given["content-type"] == "application/octet-stream"
    assert given["content-disposition"].startswith("attachment")
    assert given["content-security-policy"].startswith("sandbox")
    assert visitor.get("/picture/drawing.svg").status == 400
