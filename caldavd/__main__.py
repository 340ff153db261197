"""The command line: ``caldavd``, or ``python -m caldavd``. The commands are in ``caldavd.cli``."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import click

from caldavd.cli.session import Session

#: Where each command is; read only when it is called, so that ``caldavd --help`` needs no database library.
COMMANDS = {
    "serve": "caldavd.cli.serve:serve",
    "user": "caldavd.cli.user:user",
    "room": "caldavd.cli.room:room",
    "calendar": "caldavd.cli.calendar:calendar",
    "config": "caldavd.cli.config:config",
    "db": "caldavd.cli.database:db",
    "reindex": "caldavd.cli.database:reindex",
    "doctor": "caldavd.cli.doctor:doctor",
    "worker": "caldavd.cli.worker:worker",
    "why": "caldavd.cli.worker:why",
    "imip-receive": "caldavd.cli.incoming:imip_receive",
    "mail": "caldavd.cli.incoming:mail",
    "find-time": "caldavd.cli.find_time:find_time",
}


class Commands(click.Group):
    """The commands in the order of the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    "named",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The settings. Else: $CALDAVD_CONFIG, ./caldavd.toml, /etc/caldavd/caldavd.toml, or the defaults.",
)
@click.version_option(version("caldavd"), prog_name="caldavd")
@click.pass_context
def main(context: click.Context, named: Path | None) -> None:
    """A CalDAV server: serve calendars, and manage the people, groups, rooms and calendars on it.

    Every command has --help. Exit status: 0 done, 1 not done or something was found, 2 the command line or the settings
    are wrong.
    """
    session = Session(named)
    context.obj = session
    context.call_on_close(session.close)


if __name__ == "__main__":
    main()
