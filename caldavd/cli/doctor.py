"""``caldavd doctor``: whether what is in the database can all be true. It only reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from caldavd.cli import doctor_freebusy
from caldavd.cli.session import Failure, Session, pass_session
from caldavd.cli.walk import Calendar, calendars, pages
from scheduling.ical.lines import ICalendarError
from scheduling.ical.validate import validate
from scheduling.indexing import differences, indexed
from scheduling.mail.posting import MAIL
from storage.errors import StoreError
from storage.rows import ObjectRow

#: After so many findings the rest is only counted: whoever sees these will look for one cause, not for a thousand.
_SHOWN: Final = 1000


@click.command()
@pass_session
def doctor(session: Session) -> None:
    """Read the whole database and say what is wrong.

    Exit status 1 if anything is. Looks at the rows (numbers, removals, sizes, owners, hashes), at the calendars
    themselves (every object can be read, and the index says what its text says), and at the index of free and busy
    time, also in Redis: its drift has to be 0. What is wrong with the index alone, `caldavd reindex` repairs. Says also
    how many mails wait or were given up, which is no fault of the database.
    """
    found = 0
    try:
        for finding in _findings(session):
            found += 1
            if found <= _SHOWN:
                click.echo(finding)
    except StoreError as error:
        raise Failure(str(error)) from error
    _tell_of_mail(session)
    if found > _SHOWN:
        click.echo(f"… and {found - _SHOWN} more.")
    if found:
        click.echo("1 finding." if found == 1 else f"{found} findings.", err=True)
        raise SystemExit(1)
    click.echo("All is well.")


def _tell_of_mail(session: Session) -> None:
    counts = session.read(lambda tx: tx.queue.counts(MAIL))
    waiting, failed = counts.get("waiting", 0), counts.get("failed", 0)
    if waiting:
        click.echo(
            f"Mails that wait: {waiting}. `caldavd serve` sends them, or `caldavd worker` if [mail] worker is false."
        )
    if failed:
        click.echo(f"Mails that were given up in the last 30 days: {failed}. `caldavd why UID` says for a meeting why.")


def _findings(session: Session) -> Iterator[str]:
    yield from session.store.check()
    for calendar in calendars(session):
        for page in pages(session, calendar):
            for row in page:
                yield from _of_object(calendar, row)
    yield from doctor_freebusy.findings(session)


def _of_object(calendar: Calendar, row: ObjectRow) -> Iterator[str]:
    place = f"{calendar.path}/{row.name}"
    if not row.uid:
        yield f"{place}: a calendar holds it, but it is no calendar object."
        return
    try:
        found = validate(row.body, supported=calendar.components)
    except ICalendarError as error:
        yield f"{place}: it cannot be read as what it is stored as: {error}"
        return
    for column, stored, computed in differences(row, indexed(found, row.body)):
        yield f"{place}: the index says {column} = {stored!r}, its text says {computed!r}. Run: caldavd reindex"
