"""``caldavd db`` and ``caldavd reindex``: what the database needs now and then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import click

from caldavd.boxes import ensure_boxes
from caldavd.cli.session import Failure, Session, pass_session, progress
from caldavd.cli.walk import Calendar, calendars, pages
from caldavd.schedulers import site_of
from scheduling.delivery.tagging import tag_for
from scheduling.ical.lines import ICalendarError
from scheduling.ical.validate import validate
from scheduling.indexing import indexed
from storage.errors import StoreError
from storage.rows import NewObject, ObjectRow
from storage.store import Transaction

_DAY_SECONDS = 86400


@click.group()
def db() -> None:
    """Make, migrate and tend the database."""


@db.command()
@pass_session
def upgrade(session: Session) -> None:
    """Make the tables, or bring them to this version. Run it after each update, before the server starts."""
    try:
        session.raw_store.upgrade()
        made = ensure_boxes(session.raw_store) if session.settings.scheduling.enabled else 0
    except StoreError as error:
        raise Failure(str(error)) from error
    if made:
        click.echo(f"{made} people and rooms got an inbox and an outbox: they can be invited now.")
    click.echo(f"The database {session.settings.secret_url} is ready for this version.")


@db.command()
@pass_session
def clean(session: Session) -> None:
    """Forget what is no longer needed.

    Old deletions ([storage] removed_days), expired locks, old failed logins and the like. To be run now and then,
    for example every week.
    """
    session.store.clean(removals_before=int(time.time()) - session.settings.storage.removed_days * _DAY_SECONDS)
    click.echo("Forgot what is no longer needed.")


@db.command("new-epoch")
@pass_session
def new_epoch(session: Session) -> None:
    """Make every client sync afresh. Run it after restoring a backup, before the server starts.

    What clients saw between the backup and the restore is otherwise taken for what is there now.
    """
    session.store.new_epoch()
    click.echo("Clients will sync afresh. Nothing else has changed.")


@click.command()
@pass_session
def reindex(session: Session) -> None:
    """Rewrite the index of all calendars from their texts. Safe while the server runs.

    The index chooses what to read when a client asks for a time range. It is to be rewritten after an upgrade that asks
    for it, when the rules of time zones have changed, and when scheduling was switched on: meetings that were there
    before get their Schedule-Tag. Clients notice nothing.
    """
    done = 0
    with progress(calendars(session), "Calendars") as shown:
        for calendar in shown:
            for page in pages(session, calendar):
                done += _reindexed(session, calendar, page)
    click.echo(f"Rewrote the index of {done} objects.")


def _reindexed(session: Session, calendar: Calendar, page: Sequence[ObjectRow]) -> int:
    """Writes what the texts of a page give, but for what was changed since it was read; returns how many."""
    computed: dict[str, tuple[ObjectRow, NewObject]] = {}
    for row in page:
        try:
            computed[row.name] = row, indexed(validate(row.body, supported=calendar.components), row.body)
        except ICalendarError as error:
            click.echo(f"{calendar.path}/{row.name}: left as it is: {error}", err=True)

    def work(tx: Transaction) -> int:
        if not tx.homes.lock_of([calendar.owner]):
            return 0
        owner = tx.principals.by_name(calendar.owner) if session.settings.scheduling.enabled else None
        now = tx.objects.by_names(calendar.collection.id, list(computed), columns=frozenset({"number"}))
        same = [(row, new) for name, (row, new) in computed.items() if name in now and now[name].number == row.number]
        for row, new in same:
            untagged = owner is not None and row.organizer and not row.schedule_tag
            tag = tag_for(row.body, owner, site_of(session.settings)) if owner is not None and untagged else ""
            tx.objects.redigest(row.id, replace(new, schedule_tag=tag))
        return len(same)

    return session.write(work)
