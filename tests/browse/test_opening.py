"""How the browser is told where to go."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tests.mounting import COMMAND
from tests.store_on_disk import make_store

# It is given what to open as its argument, as any browser is, tells how that was, and goes there.
BROWSER = """#!{python}
import os, re, sys, urllib.request
page = sys.argv[1].removeprefix("file://")
modes = [os.stat(path).st_mode & 0o777 for path in (page, os.path.dirname(page))]
link = re.search('href="([^"]*)"', open(page).read())[1]
with urllib.request.urlopen(link) as answer:
    status = answer.status
with open(os.environ["TOLD"], "w") as told:
    print(sys.argv[1], link, *modes, status, sep="\\n", file=told)
"""


def test_no_command_line_shows_the_way_in(tmp_path: Path) -> None:
    """Every user can read it, in /proc: a token there would let in whoever is quicker.

    Pages are answered while the browser's command goes on: one for the terminal does not end.
    """
    store = tmp_path / "store"
    make_store(store, [tmp_path / "zone"])
    browser, told = tmp_path / "browser", tmp_path / "told"
    browser.write_text(BROWSER.format(python=sys.executable))
    browser.chmod(0o755)
    os.mkfifo(told)
    process = subprocess.Popen(
        [*COMMAND, "browse", store],
        env=os.environ | {"BROWSER": str(browser), "TOLD": str(told)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        argument, link, page_mode, folder_mode, status = told.read_text().splitlines()
    finally:
        process.terminate()
        printed, _ = process.communicate(timeout=120)
    token = urlsplit(link).query.removeprefix("token=")

    assert link in printed
    assert token
    assert token not in argument
    assert (int(page_mode) & 0o077, int(folder_mode) & 0o077) == (0, 0)
    assert status == "200"
    assert not Path(urlsplit(argument).path).exists(), "it stays as long as the pages do"
