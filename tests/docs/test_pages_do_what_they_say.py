"""Whoever types what a page says sees what the page shows: every page, from its first line on."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.aws_server import CREDENTIALS, AwsServer
from tests.docs.pages import PAGES, needs_aws, not_run, overlooked, steps_of
from tests.docs.sessions import Session, can_be_made, other_machine

RUNNABLE = [page for page in PAGES if any(steps_of(page.read_text()))]
SECONDS_MAX = 240
CAUSE_LETTERS_MIN = 15


@contextmanager
def session_on(folder: Path, environment: dict[str, str]) -> Iterator[Session]:
    """A fresh machine for one page; ends, whatever hangs in it, in time for a report."""
    session = Session(folder, environment)
    watchdog = threading.Timer(SECONDS_MAX, session.close)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield session
    finally:
        watchdog.cancel()
        session.close()


@pytest.fixture(scope="module")
def fresh_machines() -> None:
    """They can be made here."""
    if os.geteuid() != 0 or not can_be_made():
        pytest.skip("needs the right to make mount and process namespaces with overlays")


@pytest.mark.mount
@pytest.mark.slow
@pytest.mark.usefixtures("fresh_machines")
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.stem)
def test_a_page_does_what_it_says(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A page with one wrong line costs every reader who follows it."""
    text = page.read_text()
    environment = {}
    if needs_aws(text):
        server: AwsServer = request.getfixturevalue("aws")
        environment = CREDENTIALS | {"AWS_ENDPOINT_URL": server.url}
    with session_on(tmp_path, environment) as session:
        for step in steps_of(text, from_package=other_machine() is not None):
            session.do(step)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_not_run_has_a_cause_and_nothing_is_overlooked(page: Path) -> None:
    """A command in a block of no known kind would never be tried again."""
    text = page.read_text()

    assert [block.line for block in overlooked(text)] == []
    assert [cause for _, cause in not_run(text) if len(cause) < CAUSE_LETTERS_MIN] == []
