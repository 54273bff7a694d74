"""The pages, asked as a browser asks: what they show, and what they do."""

import os
import re

import pytest

from s3fs_local.control.requests import SetRetention
from tests.browse.visitor import FOLDER, Answered, Visitor, entrance_to
from tests.control.test_commands_on_a_store import ask
from tests.engine.memory_store import ALICE, MemoryStore

DAY_S = 86_400
PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


@pytest.fixture
def store() -> MemoryStore:
    """A trip whose plan changed a day later, when a photo was deleted."""
    made = MemoryStore(object_lock="true")
    made.mkdir("trip")
    made.write("trip/plan.txt", b"train\nhotel\n")
    made.write("trip/sea.png", PNG)
    made.write("trip/blob", bytes(range(256)))
    made.tick(DAY_S)
    made.write("trip/plan.txt", b"boat\nhotel\n")
    made.remove("trip/sea.png")
    made.tick(10)
    return made


@pytest.fixture
def visitor(store: MemoryStore) -> Visitor:
    """A browser that was let in."""
    return Visitor(entrance_to(store))


def make(store: MemoryStore, name: bytes, content: bytes) -> None:
    """A file in the root whose name may hold any bytes."""
    handle = store.fs.create(1, name, 0o100644, os.O_RDWR, ALICE)[0].handle
    store.fs.write(handle, 0, content)
    store.close(handle)


def restore(visitor: Visitor, path: str, form: dict[str, str]) -> Answered:
    """The page that a browser goes on to."""
    done = visitor.post(f"/restore/{path}", form)
    assert done.status == 303
    return visitor.get(done.headers["location"].removeprefix(FOLDER))


def test_the_tree_is_shown_at_any_instant(visitor: Visitor) -> None:
    """What was deleted is there at the time when it was."""
    now, then = visitor.get("/tree/trip"), visitor.get("/tree/trip?at=12h")

    assert "sea.png" not in now.words
    assert "plan.txt 11 B" in now.words
    assert "sea.png 58 B" in then.words
    assert "plan.txt 12 B" in then.words
    assert "As it was at" in then.words
    assert "was there then" in visitor.get("/tree/trip?at=400d").words
    assert visitor.get("/tree/trip/plan.txt").headers["location"].endswith("/file/trip/plan.txt")
    assert visitor.get("/tree/?at=%3Cscript%3E").status == 400


def test_the_timeline_leads_to_busy_times(visitor: Visitor) -> None:
    """Each of its bars says what happened, and shows the tree as it was after it."""
    page = visitor.get("/tree/trip")
    bars = re.findall(r'<a href="[^"]*tree/trip(\?at=[^"&]*)?"[^>]*title="([^"]*)"', page.text)

    assert [title.split(": ")[1] for _, title in bars] == [
        "3 saved, 0 removed",
        "1 saved, 1 removed",
    ]
    assert "sea.png" in visitor.get(f"/tree/trip{bars[0][0]}").words
    assert visitor.get("/tree/trip?window=day&at=2h").status == 200


def test_a_file_shows_its_text_and_all_versions(visitor: Visitor) -> None:
    """The latest one first, each with what it changed."""
    page = visitor.get("/file/trip/plan.txt")

    assert "boat\nhotel" in page.text
    assert "All versions (2)" in page.words
    old = visitor.get("/file/trip/plan.txt?at=12h")
    assert "train\nhotel" in old.text
    assert "neither text nor a picture" in visitor.get("/file/trip/blob").words
    assert visitor.get("/file/never").status == 404


def test_a_deleted_file_keeps_its_page(visitor: Visitor) -> None:
    """Its history is what somebody looks for."""
    page = visitor.get("/file/trip/sea.png")

    assert "deleted latest" in page.words
    picture = re.search(r'src="/folder(/picture/[^"]*)"', page.text)
    assert picture is not None
    assert visitor.get(picture[1]).body == PNG


def test_two_versions_are_compared_line_by_line(visitor: Visitor) -> None:
    """With a sign at each line: colour alone says nothing to many."""
    page = visitor.get("/diff/trip/plan.txt")

    assert re.search(r'class="removed".*?\u2212</td><td class="text">train<', page.text)
    assert re.search(r'class="added".*?\+</td><td class="text">boat<', page.text)
    same = visitor.get("/diff/trip/plan.txt?older=latest&newer=latest")
    assert "Both have the same content" in same.words


def test_what_changed_is_listed_with_a_way_back(visitor: Visitor) -> None:
    """The removed photo comes back from the list."""
    page = visitor.get("/changes/?since=12h")

    assert "removed trip/sea.png Bring back" in page.words
    assert "changed trip/plan.txt Restore… 12 B → 11 B" in page.words
    assert "Nothing changed here" in visitor.get("/changes/?since=1s").words
    assert visitor.get("/changes/?since=1s&until=2d").status == 400


def test_a_restore_is_shown_done_and_undone(visitor: Visitor, store: MemoryStore) -> None:
    """First what it will do, then one click, then the way back."""
    preview = visitor.get("/restore/trip?at=12h")
    assert "brought back trip/sea.png" in preview.words
    assert "earlier content trip/plan.txt" in preview.words
    assert not store.exists("trip/sea.png")
    at = re.search(r'name="at" value="([^"]*)"', preview.text)
    assert at is not None
    store.tick(10)

    done = restore(visitor, "trip", {"at": at[1]})
    assert "3 changes were made" in done.words
    assert store.read("trip/plan.txt") == b"train\nhotel\n"
    assert store.exists("trip/sea.png")
    undo = re.search(r'href="/folder(/restore/trip\?[^"]*)">Undo', done.text)
    assert undo is not None
    back = re.search(r'name="at" value="([^"]*)"', visitor.get(undo[1]).text)
    assert back is not None
    restore(visitor, "trip", {"at": back[1]})
    assert store.read("trip/plan.txt") == b"boat\nhotel\n"
    assert not store.exists("trip/sea.png")


def test_bringing_back_one_name_can_be_undone_too(visitor: Visitor, store: MemoryStore) -> None:
    """Its directory goes back to the instant before."""
    done = restore(visitor, "trip/sea.png", {"version": "latest"})
    undo = re.search(r'href="/folder/restore/trip\?at=([^"]*)">Undo', done.text)

    assert store.exists("trip/sea.png")
    assert undo is not None
    assert "removed trip/sea.png" in visitor.get(f"/restore/trip?at={undo[1]}").words


def test_locks_are_marked_and_stop_a_restore(visitor: Visitor, store: MemoryStore) -> None:
    """With the reason in words, and nothing done."""
    ask(store, SetRetention((b"trip/plan.txt",), mode="compliance", until="30d"))
    assert "plan.txt COMPLIANCE until" in visitor.get("/tree/trip").words
    preview = visitor.get("/restore/trip/plan.txt?version=previous")

    assert "1 path stays as it is , because a lock protects it" in preview.words
    assert "<button" not in preview.text.split("<main")[1]
    assert "0 changes were made" in restore(visitor, "trip/plan.txt", {}).words
    assert store.read("trip/plan.txt") == b"boat\nhotel\n"


NAMES = [b"\xff\xfe", b"<b>x", b'"&#x27;', b"a?b#c%2F", b"new\nline", b"\xe2\x80\xaetxt.exe"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_of_any_bytes_have_working_pages(
    visitor: Visitor, store: MemoryStore, name: bytes
) -> None:
    """And none is taken for HTML."""
    make(store, name, b"inside")
    page = visitor.get("/tree/")
    link = re.search(r'href="/folder(/file/[^"]*)"', page.text)

    assert link is not None
    assert "<b>x" not in page.text
    assert "\u202e" not in page.text
    shown = visitor.get(link[1].replace("&amp;", "&"))
    assert shown.status == 200
    assert "inside" in shown.text


def test_a_name_never_ends_the_header_that_gives_it(visitor: Visitor, store: MemoryStore) -> None:
    """Nor the quotes around it: a download is called what the file is called, and is no page."""
    make(store, b"a\r\nSet-Cookie: x=1", b"in")
    make(store, b'q";filename=evil.html', b"in")

    for path in ("a%0d%0aSet-Cookie%3a%20x=1", "q%22%3bfilename%3devil.html"):
        given = visitor.get(f"/raw/{path}")
        assert given.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
        assert not set('\r\n" ') & set(given.headers["content-disposition"][12:])
        assert "set-cookie" not in given.headers


def test_links_and_special_files_lead_nowhere(visitor: Visitor, store: MemoryStore) -> None:
    """Not out of the store, and not round and round."""
    store.fs.symlink(1, b"passwd", b"/etc/passwd", ALICE)
    store.fs.symlink(1, b"etc", b"../../../../etc", ALICE)
    store.fs.symlink(1, b"js", b"javascript:alert(1)", ALICE)
    store.fs.mknod(1, b"pipe", 0o010644, 0, ALICE)

    for name in ("passwd", "etc", "js", "pipe"):
        assert "it has no versions" in visitor.get(f"/file/{name}").words
        assert visitor.get(f"/tree/{name}").headers["location"] == f"{FOLDER}/file/{name}"
        for section in ("raw", "picture", "diff", "restore"):
            assert visitor.get(f"/{section}/{name}").status in {400, 404}, (section, name)
    assert visitor.get("/tree/etc/passwd").status == 404
    assert 'href="javascript:' not in visitor.get("/tree/").text


def test_no_path_leads_out_of_the_store(visitor: Visitor) -> None:
    """Whichever way dots and slashes are written."""
    for path in (
        *("/static/../../cli/main.py", "/static/%2e%2e/%2e%2e/cli/main.py"),
        *("/static/..%2f..%2fcli/main.py", "/static//etc/passwd"),
        *("/raw/%2e%2e/%2e%2e/etc/passwd", "/raw//etc/passwd", "/tree/trip/../trip"),
        *("/restore/../../etc?at=1h", "/tree/trip%00"),
    ):
        assert visitor.get(path).status == 404, path


@pytest.mark.parametrize(
    "content",
    [
        b"<html><script>alert(1)</script></html>",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"</pre><script>alert(1)</script>",
    ],
)
def test_content_never_runs(visitor: Visitor, store: MemoryStore, content: bytes) -> None:
    """It is shown as text, and given away only as a file, in a sandbox."""
    make(store, b"page.html", content)
    page = visitor.get("/file/page.html")
    given = visitor.get("/raw/page.html")

    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    assert given.body == content
    assert given.headers["content-type"] == "application/octet-stream"
    assert given.headers["content-disposition"] == "attachment; filename*=UTF-8''page.html"
    assert given.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert given.headers["x-content-type-options"] == "nosniff"
    assert visitor.get("/picture/page.html").status == 400


def test_large_text_comes_in_parts(visitor: Visitor, store: MemoryStore) -> None:
    """No page is larger than a browser likes."""
    store.write("log", b"0123456789abcde\n" * 40_000)
    first = visitor.get("/file/log")
    following = re.search(r'href="/folder(/file/log\?[^"]*offset=[^"]*)"', first.text)

    assert len(first.text) < 200_000
    assert following is not None
    assert (
        "Bytes 131072 to 262144 of 640000" in visitor.get(following[1].replace("&amp;", "&")).words
    )
    assert len(visitor.get("/raw/log").body) == 640_000


def test_large_texts_are_not_compared_here(visitor: Visitor, store: MemoryStore) -> None:
    """It says so, and who can."""
    store.write("log", b"a\n" * 600_000)
    store.write("log", b"b\n" * 600_000)

    assert "too much to compare here" in visitor.get("/diff/log").words


def test_a_directory_with_many_names_is_paged(visitor: Visitor, store: MemoryStore) -> None:
    """Two hundred at a time."""
    store.mkdir("many")
    for number in range(450):
        store.write(f"many/n{number:04}", b"")
    page = visitor.get("/tree/many")
    seen = re.findall(r"n\d{4}(?=</bdi>)", page.text)
    while more := re.search(r'href="/folder(/tree/many\?after=[^"]*)"', page.text):
        page = visitor.get(more[1].replace("&amp;", "&"))
        seen += re.findall(r"n\d{4}(?=</bdi>)", page.text)

    assert seen == [f"n{number:04}" for number in range(450)]


def test_wrong_addresses_are_answered_with_a_page(visitor: Visitor) -> None:
    """Never with a trace of the program."""
    for path, status in (
        ("/nothing", 404),
        ("/tree/never/was", 404),
        ("/file/trip", 303),
        ("/file/", 303),
        ("/tree/..", 404),
        ("/raw/trip/plan.txt?version=zzzz", 404),
        ("/file/trip/plan.txt?offset=-1", 400),
        ("/diff/trip", 404),
        ("/restore/trip", 400),
        ("/changes/?after=%ff%00", 200),
        ("/file/trip/plan.txt?skip=99999999999999999999999", 400),
    ):
        answered = visitor.get(path)
        assert answered.status == status, (path, answered.words)
        assert "Traceback" not in answered.text
    assert visitor.post("/restore/trip", {"at": "x" * 10_000}).status == 400
    assert visitor.post("/restore/trip", {"at": "soon"}).status == 400


def test_charts_are_pictures_and_numbers(visitor: Visitor) -> None:
    """Drawn for the page they stand on; in a sandbox, as an SVG could hold scripts."""
    pytest.importorskip("matplotlib", reason="the extra `charts` is not installed")
    for name in ("classes", "locks", "plan", "versions/trip/plan.txt"):
        drawn = visitor.get(f"/chart/{name}")
        assert drawn.headers["content-type"] == "image/svg+xml"
        assert drawn.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert drawn.body.startswith(b"<?xml")
        assert visitor.get(f"/chart/{name}?dark=1&narrow=1").body != drawn.body
        assert visitor.get(f"/numbers/{name}").status == 200
    assert "STANDARD" in visitor.get("/numbers/classes").words
    assert visitor.get("/chart/nothing").status == 404


def test_without_matplotlib_there_are_numbers(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Charts are an extra."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    assert "pip install" in visitor.get("/chart/classes").words
    assert visitor.get("/numbers/classes").status == 200
    store_page = visitor.get("/file/trip/plan.txt")
    assert "<picture>" not in store_page.text


def test_what_happened_below_a_directory_is_told_by_time(visitor: Visitor) -> None:
    """Newest first, each with the way to its file and to the tree as it was then."""
    page = visitor.get("/events/trip")

    assert "deleted trip/sea.png" in page.words
    assert page.words.index("deleted trip/sea.png") < page.words.index("version trip/blob")
    assert f"{FOLDER}/file/trip/plan.txt" in page.text
    assert re.search(rf'href="{FOLDER}/tree/trip\?at=[^"]+"', page.text)
    assert "Nothing happened here" in visitor.get("/events/trip?since=1s").words
    assert visitor.get("/events/trip/plan.txt").status == 409
    assert "by time" in visitor.get("/changes/trip").words
