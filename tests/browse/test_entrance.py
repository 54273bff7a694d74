"""Nobody sees or changes anything through the pages but the browser that was let in."""

import re

import pytest

from s3fs_local.browse.entrance import POLICY
from tests.browse.visitor import FOLDER, HOST, Visitor, entrance_to
from tests.engine.memory_store import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    """One file, with two contents."""
    made = MemoryStore()
    made.write("letter", b"dear")
    made.tick(10)
    made.write("letter", b"dear all")
    made.tick(10)
    return made


def test_the_link_lets_one_browser_in_once(store: MemoryStore) -> None:
    """Who finds it later, in a history or over a shoulder, is told plainly that it is used."""
    entrance = entrance_to(store)
    first, second = (Visitor(entrance, is_let_in=False) for _ in range(2))

    assert second.get("/enter?token=wrong").status == 403
    entered = first.get("/enter?token=token")
    assert entered.status == 200
    assert f"url={FOLDER}/tree/" in entered.text
    icon = re.search(r'rel="icon" href="([^"]*)"', entered.text)
    assert icon is not None, "the browser would look for one where everything is refused"
    assert first.get(icon[1].removeprefix(FOLDER)).status == 200
    cookie = entered.headers["set-cookie"]
    for part in ("HttpOnly", f"Path={FOLDER}/", "SameSite=strict"):
        assert part in cookie
    refused = second.get("/enter?token=token")
    assert refused.status == 403
    assert "was used already" in refused.words
    assert "set-cookie" not in refused.headers
    first.headers["cookie"] = cookie.split(";")[0]
    assert first.get("/tree/").status == 200
    assert first.get("/enter?token=token").status == 200, "who is in already comes in again"


@pytest.mark.parametrize("token", ["", "%ff", "token%00", "tokentoken"])
def test_a_wrong_token_lets_nobody_in(store: MemoryStore, token: str) -> None:
    """Whatever bytes it has."""
    assert Visitor(entrance_to(store), is_let_in=False).get(f"/enter?token={token}").status == 403


@pytest.mark.parametrize("path", ["/tree/", "/raw/letter", "/restore/letter", "/nothing", "/"])
def test_without_the_cookie_nothing_is_shown(store: MemoryStore, path: str) -> None:
    """Other users of this machine reach the port too."""
    visitor = Visitor(entrance_to(store), is_let_in=False)
    answered = visitor.get(path)

    assert answered.status == 403
    assert "did not come in by the link" in answered.words
    assert "letter" not in answered.text
    assert visitor.get(path, cookie="s3fs-local-browse=wrong").status == 403


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{HOST[-4:]}", "127.0.0.1", ""])
def test_a_name_that_was_pointed_at_us_is_refused(store: MemoryStore, host: str) -> None:
    """DNS rebinding: the browser would count such a site and us as one."""
    assert Visitor(entrance_to(store)).get("/tree/", host=host).status == 403
    assert Visitor(entrance_to(store)).get("/tree/", host=f"localhost:{HOST[-4:]}").status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_pages_cannot_even_look(store: MemoryStore, site: str) -> None:
    """A server on another port of this machine is of the same site, and still a stranger."""
    visitor = Visitor(entrance_to(store))

    assert visitor.get("/tree/", sec_fetch_site=site).status == 403
    assert visitor.get("/tree/", sec_fetch_site="none").status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:9", "null", ""])
def test_no_other_page_changes_anything(store: MemoryStore, origin: str) -> None:
    """CSRF: a form elsewhere that sends to us."""
    answered = Visitor(entrance_to(store)).post(
        "/restore/letter", {"version": "previous"}, origin=origin
    )

    assert answered.status == 403
    assert store.read("letter") == b"dear all"


def test_only_plain_methods_are_answered(store: MemoryStore) -> None:
    """Nothing else is needed."""
    visitor = Visitor(entrance_to(store))

    assert visitor.ask("PUT", f"{FOLDER}/tree/", headers={}).status == 405
    assert visitor.ask("TRACE", f"{FOLDER}/tree/", headers={}).status == 405


def test_every_answer_forbids_scripts_and_strangers(store: MemoryStore) -> None:
    """Whatever it is, refusals and errors too."""
    visitor = Visitor(entrance_to(store))
    for path in ("/tree/", "/nothing", "/tree/nothing", "/static/style.css", "/enter?token=no"):
        headers = visitor.get(path).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
    assert "script" not in POLICY
    assert POLICY.startswith("default-src 'none'")
