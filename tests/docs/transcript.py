"""For writers of pages: `python -m tests.docs.transcript PAGE` runs one and prints what happened.

Goes on after what fails, and says so.
"""

import tempfile
from pathlib import Path

import click

from tests.aws_server import CREDENTIALS, AwsServer
from tests.docs.pages import needs_aws, steps_of
from tests.docs.sessions import PageIsWrong, Session


@click.command()
@click.argument("page", type=click.Path(exists=True, path_type=Path))
def transcript(page: Path) -> None:
    """Run a page as its test does, and print every command with its output."""
    text = page.read_text()
    server = AwsServer() if needs_aws(text) else None
    environment = CREDENTIALS | {"AWS_ENDPOINT_URL": server.url} if server else {}
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Path(folder), environment)
        for step in steps_of(text):
            try:
                session.do(step)
            except PageIsWrong as wrong:
                click.echo(f"*** {str(wrong).splitlines()[0]}")
            click.echo(session.transcript, nl=False)
            session.transcript = ""
            if session.is_over:
                break
        session.close()
    if server:
        server.stop()


if __name__ == "__main__":
    transcript()
