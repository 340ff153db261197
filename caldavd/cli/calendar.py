"""``caldavd calendar``: list, make and remove calendars; .ics files in and out."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from caldavd import provision
from caldavd.cli.session import (
    Failure,
    Session,
    all_principals,
    collection_at,
    confirm,
    locked_home,
    pass_session,
    split_path,
    table,
)
from caldavd.properties.calendars import COMPONENTS, MAKEABLE
from caldavd.router import RESERVED_HOME, BadPath, Router
from caldavd.xml.names import clark, dav
from caldavd.xml.parse import parse, text_of
from storage.errors import NameTaken
from storage.rows import Collection, CollectionKind, Owner
from storage.store import Transaction


@click.group()
def calendar() -> None:
    """Calendars, named USER/CALENDAR (alice/calendar), and .ics files."""


@calendar.command("list")
@click.argument("users", metavar="[USER]...", nargs=-1)
@pass_session
def list_(session: Session, users: tuple[str, ...]) -> None:
    """Show the calendars of USER, or of everybody."""

    def work(tx: Transaction) -> list[tuple[str, ...]]:
        names = users or tuple(one.name for one in all_principals(tx))
        return [row for name in names for row in _rows(tx, name)]

    rows = session.read(work)
    head = ("CALENDAR", "NAME", "HOLDS", "OBJECTS")
    click.echo(table(rows, head) if rows else "There are no calendars.")


def _rows(tx: Transaction, owner: str) -> list[tuple[str, ...]]:
    home = tx.homes.of(owner)
    if home is None:
        raise Failure(f"There is no user {owner!r}. `caldavd user list` shows who there is.")
    listed = [one for one in tx.collections.of_home(home.id) if one.kind is CollectionKind.CALENDAR]
    return [
        (
            "/".join((owner, *one.path)),
            texts(tx, one).get(dav("displayname"), ""),
            " ".join(one.components or COMPONENTS),
            str(tx.objects.count(one.id)),
        )
        for one in listed
    ]


def texts(tx: Transaction, collection: Collection) -> dict[str, str]:
    """The stored properties of a collection (everyone's) as plain text, by Clark name."""
    owner = Owner("collection", collection.id)
    found = tx.properties.of([owner], principal_id=0).get(owner, ())
    return {clark(value.namespace, value.name): " ".join(text_of(parse(value.xml)).split()) for value in found}


@calendar.command()
@click.argument("path", metavar="USER/CALENDAR")
@click.option("--displayname", help="The name that people see; else the last part of the path.")
@click.option("--color", help="A colour such as #3A87AD.")
@click.option("--description", default="", help="What the calendar is for.")
@click.option(
    "--component",
    "components",
    type=click.Choice(MAKEABLE, case_sensitive=False),
    multiple=True,
    help="What it holds; may be given again. Else VEVENT, VTODO and VJOURNAL.",
)
@pass_session
def create(
    session: Session,
    path: str,
    displayname: str | None,
    color: str | None,
    description: str,
    components: tuple[str, ...],
) -> None:
    """Make an empty calendar."""
    if color and not re.fullmatch(r"#[0-9A-Fa-f]{6}([0-9A-Fa-f]{2})?", color):
        raise click.BadParameter(f"{color!r} is no colour such as #3A87AD.", param_hint="--color")

    def work(tx: Transaction) -> None:
        create_at(
            tx,
            path,
            displayname=displayname,
            components=components,
            colour=color or "",
            description=description,
        )

    session.write(work)
    click.echo(f"Made the calendar {path.strip('/')}.")


def create_at(
    tx: Transaction,
    path: str,
    *,
    displayname: str | None = None,
    components: tuple[str, ...] = (),
    colour: str = "",
    order: str = "",
    description: str = "",
) -> Collection:
    """Makes the calendar that ``USER/CALENDAR`` names, or fails with a sentence."""
    owner, names = split_path(path)
    try:
        Router().locate("/" + "/".join(("calendars", owner, *names)))
    except BadPath as error:
        raise Failure(f"{path!r} cannot be the name of a calendar: {error}") from error
    if not names or names[0] in RESERVED_HOME:
        raise Failure(f"{path!r} cannot be the name of a calendar: write USER/CALENDAR, and not a reserved name.")
    locked_home(tx, owner)
    parent = collection_at(tx, "/".join((owner, *names[:-1])))
    if parent.kind not in (CollectionKind.HOME, CollectionKind.PLAIN):
        raise Failure(f"{'/'.join((owner, *names[:-1]))} is a calendar, and a calendar holds no calendars.")
    new = provision.NewCalendar(
        name=names[-1],
        displayname=displayname or names[-1],
        components=tuple(name.upper() for name in components),
        colour=colour,
        order=order,
        description=description,
    )
    try:
        return provision.create_calendar(tx, parent, new)
    except NameTaken as error:
        raise Failure(f"There is something named {path!r} already.") from error


@calendar.command()
@click.argument("path", metavar="USER/CALENDAR")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def remove(session: Session, path: str, yes: bool) -> None:
    """Remove a calendar with all that is in it. This cannot be undone."""

    def look(tx: Transaction) -> int:
        return tx.objects.count(collection_at(tx, path).id)

    confirm(f"Remove {path} and the {session.read(look)} objects in it?", agreed=yes)

    def work(tx: Transaction) -> None:
        owner, names = split_path(path)
        locked_home(tx, owner)
        if not names:
            raise Failure(f"{path!r} is a home, not a calendar. `caldavd user remove {owner}` removes all of it.")
        tx.collections.remove(collection_at(tx, path))

    session.write(work)
    click.echo(f"Removed {path}.")


@calendar.command("import")
@click.argument("path", metavar="USER/CALENDAR")
@click.argument(
    "files", metavar="FILE.ics...", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True)
)
@click.option("--create", "make", is_flag=True, help="Make the calendar if it is not there.")
@click.option("--dry-run", is_flag=True, help="Say what would be taken, and do nothing.")
@pass_session
def import_(session: Session, path: str, files: tuple[Path, ...], make: bool, dry_run: bool) -> None:
    """Take what is in .ics files into a calendar.

    Events, tasks and journals; "-" is standard input. A file may hold many: each becomes an object of its own. Can
    be run again: what is the same stays, what has changed is replaced, nothing is removed. What cannot be taken is
    named with the reason, and the exit status is 1. Nobody is told of the meetings in it.
    """
    from caldavd.cli.importing import run  # noqa: PLC0415  (reads the iCalendar side only here)

    run(session, path, files, make=make, dry_run=dry_run)


@calendar.command()
@click.argument("path", metavar="USER/CALENDAR")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@pass_session
def export(session: Session, path: str, output: Path | None) -> None:
    """Write a whole calendar as one .ics file.

    It goes to standard output, or to the file that --output names.
    """
    from caldavd.cli.importing import export as joined  # noqa: PLC0415

    data = joined(session, path)
    if output is None:
        sys.stdout.buffer.write(data)
    else:
        output.write_bytes(data)
        click.echo(f"Wrote {output}.", err=True)
