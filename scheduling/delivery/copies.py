"""Everybody's object of one meeting, while messages are applied to them: read together, written together.

Owns the statements of a delivery. Of all the homes that a meeting reaches, the places and the objects of its UID are
read in one statement a batch (``load``), changed in memory, and written in one statement a batch (``write``), so that
the statements grow with batches of some hundred people and not with people. Every home that is written is locked by
then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Final

from scheduling.delivery.people import Person, Site, find
from scheduling.delivery.placing import Places, places_of
from scheduling.ical.validate import OBJECT_COMPONENTS, validate
from scheduling.indexing import CONTENT_TYPE, indexed
from scheduling.itip.message import Message
from scheduling.mail.posting import PROPOSING
from scheduling.mail.tickets import item_name
from storage.errors import QuotaExceeded
from storage.rows import Collection, NewObject, ObjectRow, Principal, PrincipalKind, Put
from storage.store import Transaction

_COLUMNS: Final = frozenset({"body", "component", "organizer", "schedule_tag", "etag"})


@dataclass(slots=True)
class Copy:
    """Somebody's object of the meeting.

    ``row`` is what is stored, ``text`` what it has become (``None``: there is none). ``own``: it is the one whose
    change all this follows from; whoever changes it stores it. ``significant``: its Schedule-Tag changes.
    """

    person: Person
    row: ObjectRow | None = None
    text: bytes | None = None
    own: bool = False
    significant: bool = False

    @property
    def before(self) -> bytes | None:
        """The text that is stored."""
        return None if self.row is None else self.row.body

    def growth(self, text: bytes | None) -> int:
        """Bytes by which the home grows where this object becomes ``text``."""
        return len(text or b"") - (0 if self.row is None else self.row.size)

    def undo(self) -> None:
        """Nothing has become of it after all."""
        self.text, self.significant = self.before, False


@dataclass(slots=True)
class Copies:
    """The objects of one UID in all the homes that are reached.

    ``tag`` was never given as a Schedule-Tag before (RFC 6638 section 3.2.10); every object that gets a new one gets
    this.
    """

    tx: Transaction
    site: Site = field(default_factory=Site)
    tag: str = field(default_factory=lambda: token_hex(8))
    _known: dict[str, Principal | None] = field(default_factory=dict)
    _by_home: dict[int, Copy] = field(default_factory=dict)
    _members: dict[int, Sequence[Principal]] = field(default_factory=dict)
    _places: dict[int, Places] = field(default_factory=dict)
    _items: list[tuple[Person, Message]] = field(default_factory=list)
    _reserved: dict[int, int] = field(default_factory=dict)

    # --- who, and what they have

    def principals(self, addresses: Iterable[str]) -> dict[str, Principal]:
        """Who of ``addresses`` (in normal form) lives here, by address."""
        wanted = set(addresses)
        unknown = wanted - self._known.keys()
        if unknown:
            found = find(self.tx, unknown, self.site)
            self._known.update((one, found.get(one)) for one in unknown)
        return {one: principal for one in wanted if (principal := self._known[one]) is not None}

    def open(self, person: Person, row: ObjectRow | None, text: bytes | None) -> Copy:
        """The object whose change all this follows from."""
        copy = self._by_home[person.home_id] = Copy(person, row, text, own=True)
        return copy

    def load(self, persons: Iterable[Person], uid: str) -> None:
        """Reads the places and the objects of this UID of those whose are not known yet; of groups, their members."""
        persons = list(persons)
        groups = {one.principal.id for one in persons if is_group(one)}
        if groups - self._members.keys():
            self._members.update(self.tx.principals.members_of(groups - self._members.keys()))
        new = {one.home_id: one for one in persons if not is_group(one)}
        unplaced = [home_id for home_id in new if home_id not in self._places]
        if unplaced:
            found = places_of(self.tx, unplaced)
            self._places.update((home_id, found.get(home_id, Places())) for home_id in unplaced)
        uncopied = [home_id for home_id in new if home_id not in self._by_home]
        if uncopied:
            rows = self.tx.objects.by_uid_in_homes(uncopied, uid, columns=_COLUMNS)
            for home_id in uncopied:
                row = _scheduled(rows.get(home_id, ()))
                self._by_home[home_id] = Copy(new[home_id], row, None if row is None else row.body)

    def of(self, person: Person) -> Copy:
        """What somebody has who was loaded."""
        return self._by_home[person.home_id]

    def places(self, person: Person) -> Places:
        """Where things go in the home of somebody who was loaded."""
        return self._places[person.home_id]

    def members(self, group: Person) -> Sequence[Principal]:
        """The direct members of a group that was loaded."""
        return self._members[group.principal.id]

    # --- room

    def has_room(self, copy: Copy, text: bytes, *, more: int = 0) -> bool:
        """Whether the home takes ``text`` for what is there, and ``more`` bytes; what shrinks always goes."""
        left = self.tx.homes.left(copy.person.home_id)
        growth = copy.growth(text) + more
        return left is None or growth <= 0 or growth + self._reserved.get(copy.person.home_id, 0) <= left

    def leave_in_inbox(self, message: Message, person: Person) -> bool:
        """The inbox item (RFC 6638 section 4.1); False where there is no inbox with room for it, or it is there."""
        inbox = self.places(person).inbox
        copy = self.of(person)
        kept = copy.text if copy.text is not None and not copy.own else copy.before or b""
        if inbox is None or not self.has_room(copy, kept, more=len(message.text)):
            return False
        if _comes_again(message) and self.tx.objects.get(inbox.id, item_name(message), columns=frozenset()) is not None:
            return False
        self._reserved[person.home_id] = self._reserved.get(person.home_id, 0) + len(message.text)
        self._items.append((person, message))
        return True

    # --- writing

    def write(self) -> None:
        """Writes what has become of all objects but the one that this follows from, and the inbox items."""
        changed = [copy for copy in self._by_home.values() if not copy.own and copy.text != copy.before]
        removed = [(self._collection(one.row), one.row) for one in changed if one.text is None and one.row is not None]
        self.tx.objects.remove_across(removed)
        # RFC 4918 section 6.1: the lock of a URL that maps to nothing is none.
        self.tx.locks.remove_at([(place.home_id, (*place.path, row.name)) for place, row in removed])
        puts = [*self._puts(changed), *self._inbox_items([one for one in self._items if not _comes_again(one[1])])]
        if not all(self.tx.objects.put_across(puts)):
            raise QuotaExceeded("The calendars of one of the attendees have reached their quota.")
        # A name that is not random may be the name of what was there and has been deleted; there are few of these.
        for item in self._inbox_items([one for one in self._items if _comes_again(one[1])]):
            self.tx.objects.put(item.collection, item.name, item.new, replaces=None)

    def _puts(self, changed: Iterable[Copy]) -> list[Put]:
        rows: dict[tuple[bytes, str], NewObject] = {}
        puts = []
        for copy in changed:
            if copy.text is None:
                continue
            kept = "" if copy.row is None or copy.significant else copy.row.schedule_tag
            key = copy.text, kept or self.tag
            new = rows.get(key) or rows.setdefault(key, scheduled_row(*key))
            puts.append(self._put(copy, new))
        return puts

    def _put(self, copy: Copy, new: NewObject) -> Put:
        if copy.row is not None:
            return Put(self._collection(copy.row), copy.row.name, new, copy.row)
        calendar = self.places(copy.person).calendar_for(new.component)
        assert calendar is not None
        # Random, since the UID may be anything and its name be taken.
        return Put(calendar, f"{token_hex(16)}.ics", new)

    def _inbox_items(self, left: Sequence[tuple[Person, Message]]) -> list[Put]:
        items: dict[bytes, NewObject] = {}
        puts = []
        for person, message in left:
            inbox = self.places(person).inbox
            assert inbox is not None
            text = message.text
            # Without a UID in its row, since several messages have the same.
            item = items.get(text) or items.setdefault(
                text, NewObject(text, CONTENT_TYPE, component=component_in(text))
            )
            name = item_name(message) if _comes_again(message) else f"{token_hex(16)}.ics"
            puts.append(Put(inbox, name, item))
        return puts

    def _collection(self, row: ObjectRow) -> Collection:
        found = self._places[row.home_id].collection(row.collection_id) if row.home_id in self._places else None
        found = found or self.tx.collections.get(row.collection_id)
        assert found is not None
        return found


def scheduled_row(text: bytes, tag: str) -> NewObject:
    """The row of a scheduling object that the server has written."""
    return replace(indexed(validate(text, supported=OBJECT_COMPONENTS), text), schedule_tag=tag)


def is_group(person: Person) -> bool:
    """Whether it is no person, room or resource, but several of them."""
    return person.principal.kind is PrincipalKind.GROUP


def component_in(text: bytes) -> str:
    """The kind of component that a message is about; empty where it is none of those that are scheduled."""
    for name in (b"VEVENT", b"VTODO", b"VJOURNAL", b"VFREEBUSY"):
        if b"BEGIN:" + name in text:
            return name.decode()
    return ""


def _scheduled(rows: Sequence[ObjectRow]) -> ObjectRow | None:
    """The scheduling object among the objects of one UID in a home; else any of them (it may be no meeting)."""
    return next((row for row in rows if row.organizer), rows[0] if rows else None)


def _comes_again(message: Message) -> bool:
    """Whether the same message may come twice, or is looked for by its name: it is left in an inbox once."""
    return not message.in_order or message.method in PROPOSING
