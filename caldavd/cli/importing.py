"""``caldavd calendar import`` and ``export``, and the taking of objects that all importers share.

Nothing is lost in silence: every component of a file ends as an object that is new, changed or unchanged, or as a line
that says where it stands and why it was not taken.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import click

from caldavd.cli.calendar import create_at, texts
from caldavd.cli.session import Failure, Session, collection_at, locked_home, progress, split_path
from caldavd.properties.calendars import COMPONENTS
from caldavd.schedulers import site_of
from caldavd.xml.names import apple, caldav, dav
from scheduling.delivery.tagging import tag_for
from scheduling.ical.join import join
from scheduling.ical.lines import ICalendarError
from scheduling.ical.split import Metadata, split
from scheduling.indexing import object_row
from storage.errors import NameTaken, QuotaExceeded, UidTaken, UnstorableText
from storage.members import every_member
from storage.rows import KEY_COLUMNS, Collection, CollectionKind, NewObject, ObjectRow
from storage.store import Transaction

#: Objects in one transaction: the home is locked no longer than a moment.
_BATCH: Final = 200
_COLUMNS: Final = KEY_COLUMNS | {"body"}
#: UIDs that can be a name as they are; others are hashed.
#: Lines of a VCALENDAR, with their folded rest, that are the file's and not the object's.
_FRAME: Final = re.compile(rb"^(?:PRODID|CALSCALE)[:;].*\n(?:[ \t].*\n)*", re.MULTILINE)
_PLAIN_UID: Final = re.compile(r"[A-Za-z0-9@._+-]{1,150}")


@dataclass(frozen=True, slots=True)
class Piece:
    """An object that is to be taken. ``place`` says where it stands, ``name`` is its name if it has one already."""

    place: str
    uid: str
    body: bytes
    name: str = ""


@dataclass(slots=True)
class Outcome:
    """What became of the pieces; ``refused`` and ``notes`` are lines for people."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Counts another outcome in."""
        self.new += other.new
        self.changed += other.changed
        self.unchanged += other.unchanged
        self.refused += other.refused
        self.notes += other.notes

    def summary(self) -> str:
        """The last line."""
        return f"{self.new} new, {self.changed} changed, {self.unchanged} unchanged, {len(self.refused)} not taken"


class _Rollback(Exception):
    """Ends a dry run: everything was tried, nothing is kept but the outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("dry run")
        self.outcome = outcome


def run(session: Session, path: str, files: Sequence[Path], *, make: bool, dry_run: bool) -> None:
    """Carries out ``caldavd calendar import``. Raises ``Failure``; exits with 1 where something was not taken."""
    outcome = Outcome()
    supported = _supported(session, path, make=make)
    pieces: dict[str, Piece] = {}
    metadata = Metadata()
    for file in files:
        found, said = _read(file, supported, outcome)
        for piece in found:
            earlier = pieces.get(piece.uid)
            if earlier is not None and earlier.body != piece.body:
                outcome.notes.append(f"{piece.place}: {piece.uid!r} is in {earlier.place} too; this one counts.")
            pieces[piece.uid] = piece
        metadata = metadata if metadata.name else said
    if make and not _exists(session, path) and not dry_run:
        session.write(lambda tx: _made(tx, path, metadata))
    if dry_run and not _exists(session, path):
        outcome.new = len(_checked(session, pieces.values(), supported, outcome))
    else:
        outcome.add(take(session, path, list(pieces.values()), dry_run=dry_run))
    report(outcome, dry_run=dry_run)


def report(outcome: Outcome, *, dry_run: bool) -> None:
    """Prints what was noted, what was refused and how many there were; exits with 1 where something was not taken."""
    for line in outcome.notes:
        click.echo(line, err=True)
    for line in outcome.refused:
        click.echo(f"not taken: {line}", err=True)
    click.echo(("A dry run: nothing was changed. Without --dry-run: " if dry_run else "") + outcome.summary())
    if outcome.refused:
        raise SystemExit(1)


def _supported(session: Session, path: str, *, make: bool) -> tuple[str, ...]:
    """What the calendar takes; all where it is still to be made."""
    if make and not _exists(session, path):
        return COMPONENTS
    collection = session.read(lambda tx: collection_at(tx, path))
    if collection.kind is not CollectionKind.CALENDAR:
        raise Failure(f"{path!r} is no calendar. `caldavd calendar list` shows which there are.")
    return collection.components or COMPONENTS


def _exists(session: Session, path: str) -> bool:
    owner, names = split_path(path)

    def work(tx: Transaction) -> bool:
        found = tx.collections.find(owner, names)
        if found is None:
            raise Failure(f"There is no user {owner!r}. `caldavd user list` shows who there is.")
        return not found.missing

    return session.read(work)


def _read(file: Path, supported: Sequence[str], outcome: Outcome) -> tuple[list[Piece], Metadata]:
    """The objects of a file; what it loses goes into ``outcome``."""
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}") from error
    try:
        found = split(data, supported=supported)
    except ICalendarError as error:
        outcome.refused.append(f"{file}: {error}")
        return [], Metadata()
    if not found.objects and not found.rejections:
        outcome.refused.append(f"{file}: there is no event, task or journal in it")
    for rejection in found.rejections:
        named = f" {rejection.uid!r}" if rejection.uid else ""
        outcome.refused.append(f"{file}:{rejection.line}: {rejection.kind}{named}: {rejection.message}")
    for fault in found.faults:
        outcome.notes.append(f"{file}:{fault.line}: {fault.message}")
    pieces = [Piece(f"{file}:{one.line}", one.uid, one.data) for one in found.objects]
    return pieces, found.metadata


def _made(tx: Transaction, path: str, metadata: Metadata) -> Collection:
    name, colour = metadata.name or None, _colour(metadata.color)
    return create_at(tx, path, displayname=name, colour=colour, description=metadata.description)


def _colour(written: str) -> str:
    return written if re.fullmatch(r"#[0-9A-Fa-f]{6}([0-9A-Fa-f]{2})?", written) else ""


def take(session: Session, path: str, pieces: Sequence[Piece], *, dry_run: bool) -> Outcome:
    """Brings the pieces into a calendar that exists, some hundred in a transaction."""
    outcome = Outcome()
    batches = [pieces[start : start + _BATCH] for start in range(0, len(pieces), _BATCH)]
    owner, _ = split_path(path)
    with progress(batches, path, steps=len(pieces), size=len) as shown:
        for batch in shown:
            outcome.add(_take_batch(session, owner, path, batch, dry_run=dry_run))
    return outcome


def _checked(
    session: Session, pieces: Iterable[Piece], supported: Sequence[str], outcome: Outcome
) -> list[tuple[Piece, NewObject]]:
    """The rows of the pieces that may be stored; the others are noted as refused."""
    rows: list[tuple[Piece, NewObject]] = []
    for piece in pieces:
        try:
            rows.append((piece, object_row(piece.body, supported=supported, limits=session.settings.limits)))
        except ICalendarError as error:
            outcome.refused.append(f"{piece.place}: {piece.uid!r}: {error}")
    return rows


def _take_batch(session: Session, owner: str, path: str, batch: Sequence[Piece], *, dry_run: bool) -> Outcome:
    checked = Outcome()
    rows = _checked(session, batch, _supported(session, path, make=False), checked)

    def work(tx: Transaction) -> Outcome:
        locked_home(tx, owner)
        outcome = _store(tx, collection_at(tx, path), _tagged(session, tx, owner, rows))
        if dry_run:
            raise _Rollback(outcome)
        return outcome

    try:
        checked.add(session.write(work))
    except _Rollback as rollback:
        checked.add(rollback.outcome)
    return checked


def _tagged(
    session: Session, tx: Transaction, owner: str, rows: Sequence[tuple[Piece, NewObject]]
) -> list[tuple[Piece, NewObject]]:
    """The rows with Schedule-Tags for meetings. Nobody is told of what comes from a file."""
    found = tx.principals.by_name(owner) if session.settings.scheduling.enabled else None
    if found is None:
        return list(rows)
    site = site_of(session.settings)
    return [
        (piece, replace(row, schedule_tag=tag_for(row.body, found, site)) if row.organizer else row)
        for piece, row in rows
    ]


def _store(tx: Transaction, collection: Collection, rows: Sequence[tuple[Piece, NewObject]]) -> Outcome:
    """Sorts a batch into new, changed and unchanged, and stores it.

    Usually an object that is there has the name that it would get, and those that are not found by it are new: two
    statements for all of them. Where a client has chosen another name, the store finds the UID taken, and the rest of
    the batch is looked up one by one.
    """
    outcome = Outcome()
    named = [(piece, piece.name or name_of(row.uid), row) for piece, row in rows]
    there = tx.objects.by_names(collection.id, [name for _, name, _ in named], columns=_COLUMNS)
    rest: list[tuple[Piece, str, NewObject]] = []
    for piece, name, row in named:
        found = there.get(name)
        if found is not None and found.uid == row.uid:
            _replace(tx, collection, piece, found, row, outcome)
        else:
            rest.append((piece, name if found is None else hashed_name(row.uid), row))
    try:
        tx.objects.put_many(collection, [(name, row) for _, name, row in rest])
        outcome.new += len(rest)
    except (NameTaken, UidTaken, UnstorableText, QuotaExceeded):
        for piece, name, row in rest:
            found = tx.objects.by_uid(collection.id, row.uid, columns=_COLUMNS)
            if found is not None:
                _replace(tx, collection, piece, found, row, outcome)
            elif _put(tx, collection, piece, name, row, outcome, replaces=None):
                outcome.new += 1
    return outcome


def _replace(
    tx: Transaction, collection: Collection, piece: Piece, there: ObjectRow, row: NewObject, outcome: Outcome
) -> None:
    if _said(there.body) == _said(row.body):
        outcome.unchanged += 1
    elif _put(tx, collection, piece, there.name, row, outcome, replaces=there):
        outcome.changed += 1


def _put(
    tx: Transaction,
    collection: Collection,
    piece: Piece,
    name: str,
    row: NewObject,
    outcome: Outcome,
    *,
    replaces: ObjectRow | None,
) -> bool:
    try:
        tx.objects.put(collection, name, row, replaces=replaces)
    except (NameTaken, UidTaken, UnstorableText, QuotaExceeded) as error:
        outcome.refused.append(f"{piece.place}: {piece.uid!r}: {error}")
        return False
    return True


def _said(text: bytes | None) -> bytes | None:
    """An object without what an export says once for all of them: which program wrote it, and the kind of line ends."""
    return None if text is None else _FRAME.sub(b"", text.replace(b"\r\n", b"\n"))


def name_of(uid: str) -> str:
    """The name that an object gets: its UID where that can be one, else a hash of it. The same UID, the same name."""
    return f"{uid}.ics" if _PLAIN_UID.fullmatch(uid) and not uid.startswith(".") else hashed_name(uid)


def hashed_name(uid: str) -> str:
    """A name that no UID is."""
    return f"{hashlib.sha256(uid.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}.ics"


def export(session: Session, path: str) -> bytes:
    """A calendar as one text, with its name, description and colour."""

    def work(tx: Transaction) -> tuple[Metadata, list[bytes]]:
        collection = collection_at(tx, path)
        told = texts(tx, collection)
        metadata = Metadata(
            name=told.get(dav("displayname"), collection.name),
            description=told.get(caldav("calendar-description"), ""),
            color=told.get(apple("calendar-color"), ""),
        )
        rows = every_member(tx, collection.id, columns=frozenset({"body", "uid"}), together=_BATCH)
        return metadata, [row.body for row in rows if row.uid]

    metadata, bodies = session.read(work)
    return b"".join(join(bodies, metadata=metadata))
