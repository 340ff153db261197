"""Going through every calendar object of the database, for ``caldavd reindex`` and ``caldavd doctor``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from caldavd.cli.session import Session, all_principals
from caldavd.properties.calendars import COMPONENTS
from storage.rows import OBJECT_COLUMNS, Collection, CollectionKind, ObjectRow
from storage.store import Transaction

#: Objects read at a time, with their texts.
PAGE: Final = 200
_COLUMNS: Final = OBJECT_COLUMNS | {"body", "spans"}


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar collection and whose it is."""

    owner: str
    collection: Collection

    @property
    def path(self) -> str:
        """As the command line writes it."""
        return "/".join((self.owner, *self.collection.path))

    @property
    def components(self) -> tuple[str, ...]:
        """What it takes."""
        return self.collection.components or COMPONENTS


def calendars(session: Session) -> list[Calendar]:
    """All calendars of everybody."""

    def work(tx: Transaction) -> list[Calendar]:
        return [
            Calendar(one.name, collection)
            for one in all_principals(tx)
            for collection in tx.collections.of_home(one.home_id)
            if collection.kind is CollectionKind.CALENDAR
        ]

    return session.read(work)


def pages(session: Session, calendar: Calendar) -> Iterator[Sequence[ObjectRow]]:
    """The objects of a calendar, each page in a transaction of its own; what is written meanwhile may be missed."""
    after = ""

    def work(tx: Transaction) -> Sequence[ObjectRow]:
        return tx.objects.page(calendar.collection.id, columns=_COLUMNS, after=after, limit=PAGE)

    while rows := session.read(work):
        yield rows
        after = rows[-1].name
