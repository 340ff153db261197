"""``caldavd worker`` and ``caldavd why``: the mail that goes out, and what became of it."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

import click

from caldavd import incoming
from caldavd.cli.session import Failure, Session, pass_session, table
from caldavd.mail import postbox_of, worker_of
from config import log
from config.settings import Server
from scheduling.addresses import normal
from scheduling.finding.guests import looked_up
from scheduling.imip.poll import Unavailable
from storage.rows import JournalEntry
from storage.store import Transaction

_PAGE: Final = 500

#: SCHEDULE-STATUS in words (RFC 6638 section 3.2.9).
STATUSES: Final = {
    "1.0": "pending",
    "1.1": "sent",
    "1.2": "delivered",
    "2.0": "answered",
    "2.3": "partly understood",
    "3.7": "no such user",
    "3.8": "not allowed",
    "5.1": "not delivered",
    "5.2": "no way to deliver",
    "5.3": "not allowed",
}


@click.command()
@click.option("--once", is_flag=True, help="Do what is due now, and end.")
@pass_session
def worker(session: Session, once: bool) -> None:
    """Send the mail that waits, take in what comes, and keep house.

    It runs until Ctrl-C or SIGTERM. `caldavd serve` does so by itself, unless [mail] worker is false. Several workers
    do no harm.
    """
    settings = session.settings
    log.configure(level=settings.logging.level, style=settings.logging.format)
    made = worker_of(settings, session.store)
    if made.transport is None:
        click.echo("There is no mail to send: [mail] smtp_host is not set.", err=True)
    postbox = postbox_of(settings, made)
    if once:
        try:
            taken = incoming.looked(settings, session.store, postbox)
        except Unavailable as error:
            raise Failure(f"The mailbox cannot be looked into: {error}") from error
        done = made.drain() + taken
        click.echo(f"{done} mails and results done." if done else "Nothing to do.")
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: made.stop())
    stop = incoming.started(settings, session.store, postbox, made.wake)
    made.run()
    stop()


@click.command()
@click.argument("uid")
@click.argument("who", default="")
@pass_session
def why(session: Session, uid: str, who: str) -> None:
    """Show what became of a meeting's messages.

    Who sent what to whom, by which rule, and where to. UID is that of the event; with WHO, an address or the name of a
    user here, only messages from and to this address, or any address of theirs. Times are in UTC. The log goes back 90
    days.
    """
    theirs = session.read(lambda tx: _addresses(tx, who, server=session.settings.server)) if who else frozenset()

    def page(after: int) -> list[tuple[int, JournalEntry]]:
        def work(tx: Transaction) -> list[tuple[int, JournalEntry]]:
            only = next(iter(theirs)) if len(theirs) == 1 else ""
            return list(tx.journal.of_uid(uid, address=only, after=after, limit=_PAGE))

        return session.read(work)

    found, after = [], 0
    while entries := page(after):
        found += [one for _, one in entries if not theirs or {normal(one.actor), normal(one.recipient)} & theirs]
        after = entries[-1][0]
    if not found:
        whose = f" from or to {who}" if who else ""
        raise Failure(f"The scheduling log has no message{whose} about {uid!r}.")
    click.echo(table([_row(entry) for entry in found], ("time", "method", "from", "to", "status", "went to", "why")))


def _addresses(tx: Transaction, who: str, *, server: Server) -> frozenset[str]:
    """All addresses and URLs, in normal form, of the user who is meant; of somebody elsewhere the one that is given."""
    principal = looked_up(tx, (who,)).get(who)
    if principal is None:
        return frozenset({normal(who)})
    path = f"{server.prefix}/principals/{quote(principal.name)}/"
    paths = {path, server.base_url + path}  # some clients invite principals by their URL
    return frozenset(normal(one) for one in paths | {one.uri for one in principal.addresses})


def _row(entry: JournalEntry) -> tuple[str, ...]:
    code = entry.status.partition(";")[0]
    meaning = STATUSES.get(code, "")
    return (
        f"{datetime.fromtimestamp(entry.at, UTC):%Y-%m-%d %H:%M:%S}",
        *(
            _cell(text)
            for text in (
                entry.method,
                entry.actor.removeprefix("mailto:"),
                entry.recipient.removeprefix("mailto:"),
                f"{entry.status} {meaning}".strip(),
                entry.destination,
                entry.reason,
            )
        ),
    )


def _cell(text: str) -> str:
    """One line that a terminal only shows."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
