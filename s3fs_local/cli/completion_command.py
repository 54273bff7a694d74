"""Command completion: shell scripts that complete our command line."""

import click
from click.shell_completion import get_completion_class

from s3fs_local.cli.output import PROGRAM

COMPLETION_VARIABLE = "_S3FS_LOCAL_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that completes this command line in a shell.

    \b
    bash:  s3fs-local completion bash > /etc/bash_completion.d/s3fs-local
    zsh:   s3fs-local completion zsh > "${fpath[1]}/_s3fs-local"
    fish:  s3fs-local completion fish > ~/.config/fish/completions/s3fs-local.fish
    """  # noqa: D301  click's mark for lines that stay as they are is that very character
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, PROGRAM, COMPLETION_VARIABLE)
    source = script.source_template % script.source_vars()
    # Versions and times come newest first, and fish would sort them by their letters.
    click.echo(source.replace("complete --no-files", "complete --no-files --keep-order"))
