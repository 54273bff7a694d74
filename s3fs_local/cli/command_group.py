"""A command that holds others, and says of each in full what it does."""

from typing import Final

import click

_WHOLE: Final = 400
"""Letters; no summary is longer, so none is cut off in the middle of what it says."""


class CommandGroup(click.Group):
    """A group whose help has whole summaries; those of its groups, too."""

    group_class: type[click.Group] | type[type] | None = type

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does it, on as many lines as it takes."""
        shown = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [
            (name, command.get_short_help_str(_WHOLE))
            for name, command in shown
            if command is not None and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
