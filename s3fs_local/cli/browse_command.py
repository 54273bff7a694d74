"""Command browse: the store's past as pages in a browser."""

import html
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from msgspec import Struct

from s3fs_local.cli.options import ANY_PATH, json_option
from s3fs_local.cli.output import print_json, print_line
from s3fs_local.cli.store_access import KeySources, only_store, store_of
from s3fs_local.control.client import connect


class Link(Struct, frozen=True, rename="pascal"):
    """What lets one browser in, once."""

    url: str


@click.command()
@click.argument("store", type=ANY_PATH, required=False)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port to listen on; a free one if not given.",
)
@click.option("--no-open", is_flag=True, help="Only print the link.")
@json_option
def browse(store: str | None, port: int, *, no_open: bool, as_json: bool) -> None:
    """Look at a store's past in a browser: any instant, what changed, restore with a click.

    Only this machine can open the page, and only one browser: the one in which the link is opened
    first. It ends with Ctrl-C. Without STORE: the one whose mount you are in, or the only one
    mounted.
    """
    path = store_of(store) if store is not None else only_store()
    client = connect(path)
    sources: KeySources = click.get_current_context().find_object(KeySources) or KeySources()
    if client is not None:
        client.detach().close()
    unlocking = None if client is not None else sources.unlocking(path)

    def tell(url: str) -> None:
        if as_json:
            print_json(Link(url))
        else:
            print_line("Open this link, once; Ctrl-C here ends it:")
            print_line(url)
        sys.stdout.flush()
        if not (no_open or as_json):
            import webbrowser  # noqa: PLC0415  only here, and slow to come

            # In a thread: one for the terminal goes on until it is left, and asks us meanwhile.
            page = private_page(folder, url).as_uri()
            threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()

    from s3fs_local.browse.serving import run_pages  # noqa: PLC0415  costs a start

    with TemporaryDirectory(prefix="s3fs-local-browse-") as made:
        folder = Path(made)
        run_pages(path, unlocking, port=port, on_ready=tell)


def private_page(folder: Path, url: str) -> Path:
    """A page in that folder that goes on to the link, which others cannot read.

    A browser is given what to open on its command line, where every user of the machine sees it: a
    link with its token there would let in whoever is quicker.
    """
    page = folder / "open.html"
    page.touch(mode=0o600)
    link = html.escape(url)
    page.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>s3fs-local</title>'
        f'<meta http-equiv="refresh" content="0; url={link}"><p><a href="{link}">Go on</a></p>'
    )
    return page
