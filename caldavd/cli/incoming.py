"""``caldavd imip-receive`` and ``caldavd mail``: mails that come in by a pipe, and those that were not believed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import click

from caldavd.cli.session import Failure, Session, pass_session, table
from caldavd.incoming import reception_of
from caldavd.mail import postbox_of
from scheduling.imip import mime
from scheduling.imip.fates import Fate, Outcome
from scheduling.imip.objects import objects_in
from scheduling.imip.reception import Reception
from storage.errors import StoreError
from storage.rows import HeldMail

#: sysexits.h, as mail servers read them: the mail was taken; it cannot be read; nobody here has the address; try again.
TAKEN: Final = 0
DATAERR: Final = 65
NOUSER: Final = 67
TEMPFAIL: Final = 75
#: What is said to the mail server.
EXITS: Final = {
    Fate.APPLIED: TAKEN,
    Fate.HELD: TAKEN,
    Fate.FORWARDED: TAKEN,
    Fate.NOTED: TAKEN,
    Fate.NOT_FOR_US: DATAERR,
    Fate.UNREADABLE: DATAERR,
    Fate.NOBODY: NOUSER,
}
_PAGE: Final = 500
#: Header fields that are shown of a mail.
_SHOWN: Final = ("from", "sender", "reply-to", "to", "date", "subject", "message-id", "authentication-results")


@click.command("imip-receive")
@click.argument("recipients", nargs=-1, metavar="[ADDRESS]...")
@click.option(
    "--copy", is_flag=True, help="The mail is delivered elsewhere, too: what is not for a calendar is no error."
)
@pass_session
def imip_receive(session: Session, recipients: tuple[str, ...], copy: bool) -> None:
    """Take in a mail from standard input.

    An answer to a meeting, an invitation from outside, a delivery report. ADDRESS is whom it is for, as the mail server
    says; without it, $ORIGINAL_RECIPIENT or $RECIPIENT, else whom the mail itself names.

    Exit status, as sysexits.h has them: 0 it was taken (also where it was held for a look), 65 it cannot be read or is
    not for a calendar, 67 nobody here has the address, 75 try again.
    """
    try:
        outcomes = _taken(session, recipients)
    except mime.Unreadable as error:
        _leave(str(error), TAKEN if copy else DATAERR)
    except click.ClickException as error:
        _leave(error.format_message(), TEMPFAIL)
    except (StoreError, OSError) as error:
        _leave(str(error), TEMPFAIL)
    except Exception as error:  # noqa: BLE001 - the mail server keeps it and tries again; it could do no better
        _leave(f"The mail could not be taken: {type(error).__name__}: {error}", TEMPFAIL)
    else:
        code = exit_status(outcomes.values(), copy=copy)
        for address, outcome in outcomes.items():
            click.echo(_cell(f"{address}: {outcome.sentence}"), err=code != TAKEN)
        if not outcomes:
            click.echo("The mail names nobody who is here.", err=True)
        sys.exit(code)


def _taken(session: Session, recipients: tuple[str, ...]) -> dict[str, Outcome]:
    reception = _reception(session)
    raw = sys.stdin.buffer.read(reception.max_size + 1)
    named = recipients or tuple(filter(None, (os.environ.get("ORIGINAL_RECIPIENT") or os.environ.get("RECIPIENT"),)))
    if not named:
        mime.read(raw, limit=reception.max_size)
        named = reception.recipients_in(raw)
    return dict(reception.receive(raw, named))


def exit_status(outcomes: Iterable[Outcome], *, copy: bool) -> int:
    """One exit status for all recipients: if it was taken for one of them, it is not to come again."""
    codes = {EXITS[one.fate] for one in outcomes} or {NOUSER}
    return TAKEN if copy or TAKEN in codes else max(codes)


def _leave(sentence: str, code: int) -> None:
    click.echo(_cell(sentence), err=True)
    sys.exit(code)


def _reception(session: Session) -> Reception:
    settings = session.settings
    if not settings.scheduling.enabled:
        raise Failure("Scheduling is off: set enabled = true in [scheduling].")
    return reception_of(settings, session.store, postbox_of(settings))


@click.group()
def mail() -> None:
    """Look at mail that came in."""


@mail.group()
def held() -> None:
    """Mails that were not believed.

    Answers and invitations whose sender could not be made sure of are kept here for 90 days, and not applied.
    """


@held.command("list")
@pass_session
def list_(session: Session) -> None:
    """List the mails that are held."""
    found: list[HeldMail] = []
    while page := _page(session, found[-1].id if found else 0):
        found += page
    if not found:
        click.echo("No mail is held.")
        return
    rows = [
        (str(one.id), f"{datetime.fromtimestamp(one.received, UTC):%Y-%m-%d %H:%M}", *map(_cell, parts))
        for one in found
        for parts in [(one.sender, one.recipient, one.reason)]
    ]
    click.echo(table(rows, ("id", "came", "from", "to", "why it is held")))


def _page(session: Session, after: int) -> list[HeldMail]:
    return list(session.read(lambda tx: tx.held_mails.page(after=after, limit=_PAGE)))


@held.command()
@click.argument("mail_id", type=int, metavar="ID")
@click.option("--raw", is_flag=True, help="The whole mail as it came, for a file.")
@pass_session
def show(session: Session, mail_id: int, raw: bool) -> None:
    """Show a mail: who sent it, and what it says."""
    found = _found(session, mail_id)
    if raw:
        sys.stdout.buffer.write(found.body)
        return
    click.echo(_cell(f"held because: {found.reason}"))
    read = mime.read(found.body)
    for name in _SHOWN:
        for value in read.head.all(name):
            click.echo(_cell(f"{name}: {value[:1000]}"))
    for text in objects_in(read).texts:
        click.echo("")
        for line in text.decode(errors="replace").splitlines():
            click.echo(_cell(line))


@held.command()
@click.argument("mail_ids", type=int, nargs=-1, required=True, metavar="ID...")
@pass_session
def apply(session: Session, mail_ids: tuple[int, ...]) -> None:
    """Believe mails: apply them, as if their sender had been made sure of."""
    reception = _reception(session)
    failed = 0
    for mail_id in mail_ids:
        found = _found(session, mail_id)
        try:
            outcome = reception.apply_held(found.body, found.recipient)
        except StoreError as error:
            raise Failure(str(error)) from error
        click.echo(_cell(f"{mail_id}: {outcome.sentence}"))
        if outcome.fate is Fate.APPLIED:
            session.write(lambda tx, mail_id=mail_id: tx.held_mails.remove(mail_id))  # type: ignore[misc]
        else:
            failed += 1
    if failed:
        raise Failure("Not all of them could be applied; the others are still held.")


@held.command()
@click.argument("mail_ids", type=int, nargs=-1, required=True, metavar="ID...")
@pass_session
def drop(session: Session, mail_ids: tuple[int, ...]) -> None:
    """Throw mails away: what they say is never applied, and nobody is told."""
    gone = [one for one in mail_ids if not session.write(lambda tx, one=one: tx.held_mails.remove(one))]  # type: ignore[misc]
    if gone:
        raise Failure(f"There is no held mail {', '.join(map(str, gone))}.")


def _found(session: Session, mail_id: int) -> HeldMail:
    found: HeldMail | None = session.read(lambda tx: tx.held_mails.get(mail_id))
    if found is None:
        raise Failure(f"There is no held mail {mail_id}. `caldavd mail held list` shows which there are.")
    return found


def _cell(text: str) -> str:
    """One line that a terminal only shows."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
