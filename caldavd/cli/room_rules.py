"""What is said of a room or resource by whoever administers it: from texts to values, and into the database.

Used by ``caldavd room set`` and ``caldavd user import``; docs/rooms.md tells what it means. The rules themselves are in
``scheduling.rooms.rules``. Beside the row of the room this keeps in order: who may book it (ACEs of its inbox, RFC 6638
section 6.1.2), what the delegate needs to answer for it (an ACE of its home), and its hours (a property of its inbox).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from caldavd.cli import room_hours
from caldavd.cli.session import Failure
from caldavd.privileges import (
    READ,
    SCHEDULE_DELIVER,
    SCHEDULE_DELIVER_INVITE,
    SCHEDULE_DELIVER_REPLY,
    SCHEDULE_QUERY_FREEBUSY,
    SCHEDULE_SEND,
    WRITE,
)
from caldavd.provision import set_text
from caldavd.xml.names import caldav
from scheduling.delivery.scheduler import INBOX
from scheduling.freebusy.availability import PROPERTIES as HOURS
from scheduling.rooms.bookings import ANSWERING
from storage.rows import Ace, Beyond, Booking, BookingPolicy, Collection, CollectionKind, Owner, Principal
from storage.store import Transaction

#: The keys in a file of accounts, beside those that everybody has.
KEYS: Final = (
    "policy", "delegate", "window", "beyond", "capacity", "equipment", "place", "position", "booked_by", "hours",
)  # fmt: skip
DEFAULT: Final = "default"
EVERYBODY: Final = "@all"
POLICIES: Final = (DEFAULT, *(one.value for one in BookingPolicy))
BEYOND: Final = (DEFAULT, *(one.value for one in Beyond))
MOST_DAYS: Final = 3650
MOST_PEOPLE: Final = 1_000_000

_FOR_ALL: Final = Ace("authenticated", grant=True, privileges=(SCHEDULE_DELIVER,))
_BUT_INVITE: Final = Ace("authenticated", grant=True, privileges=(SCHEDULE_DELIVER_REPLY, SCHEDULE_QUERY_FREEBUSY))
#: What a delegate may do in the room's home: see the requests, and answer them in the room's name.
_OF_DELEGATE: Final = (READ, WRITE, SCHEDULE_SEND)
_DELIVERING: Final = frozenset(
    {SCHEDULE_DELIVER, SCHEDULE_DELIVER_INVITE, SCHEDULE_DELIVER_REPLY, SCHEDULE_QUERY_FREEBUSY}
)
_INVITING: Final = frozenset({SCHEDULE_DELIVER, SCHEDULE_DELIVER_INVITE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said of a room; ``None`` where nothing is.

    ``policy`` and ``beyond`` may be ``default``, ``window`` (days) 0: the settings count again. ``capacity`` 0: it is
    not known. An empty ``delegate``, ``place`` or ``position`` (degrees) takes it away. ``booked_by`` are names, or
    ``@all``, ``hours`` as ``room_hours`` has them, empty for no hours.
    """

    policy: str | None = None
    delegate: str | None = None
    window: int | None = None
    beyond: str | None = None
    capacity: int | None = None
    equipment: tuple[str, ...] | None = None
    place: str | None = None
    position: tuple[float, ...] | None = None
    booked_by: tuple[str, ...] | None = None
    hours: str | None = None

    def __bool__(self) -> bool:
        return self != Said()


def read(raw: Mapping[str, object]) -> Said:
    """What a file of accounts says of a room, by ``KEYS``. Raises ValueError with a sentence."""
    return Said(
        policy=_word(raw, "policy", POLICIES),
        delegate=_text(raw, "delegate"),
        window=_number(raw, "window", MOST_DAYS),
        beyond=_word(raw, "beyond", BEYOND),
        capacity=_number(raw, "capacity", MOST_PEOPLE),
        equipment=_list(raw, "equipment", r"[;,\n]"),
        place=_text(raw, "place"),
        position=None if raw.get("position") is None else position(raw["position"]),
        booked_by=_list(raw, "booked_by", r"[\s;,]"),
        hours=None if (hours := _text(raw, "hours")) is None else room_hours.checked(hours),
    )


def position(value: object) -> tuple[float, ...]:
    """``52.52, 13.40`` as degrees of latitude and longitude; an empty text as none. Raises ValueError."""
    numbers = value if isinstance(value, list) else re.split(r"[\s;,]+", str(value).strip())
    if numbers == [""]:
        return ()
    try:
        latitude, longitude = (float(one) for one in numbers)
    except (TypeError, ValueError) as error:
        raise ValueError(f"position = {value!r}: write latitude and longitude in degrees: 52.52, 13.40") from error
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ValueError(f"position = {value!r}: latitude is -90 to 90, longitude -180 to 180")
    return latitude, longitude


def _text(raw: Mapping[str, object], key: str) -> str | None:
    value = raw.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{key} = {value!r}: this has to be a text, in quotes")
    return value


def _word(raw: Mapping[str, object], key: str, words: Sequence[str]) -> str | None:
    value = raw.get(key)
    if value is not None and value not in words:
        raise ValueError(f"{key} = {value!r}: there are {', '.join(words)}")
    return None if value is None else str(value)


def _number(raw: Mapping[str, object], key: str, most: int) -> int | None:
    value = raw.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,7}", str(value)) or int(str(value)) > most:
        raise ValueError(f"{key} = {value!r}: write a whole number from 0 to {most}")
    return int(str(value))


def _list(raw: Mapping[str, object], key: str, separators: str) -> tuple[str, ...] | None:
    value = raw.get(key)
    if value is None:
        return None
    found = re.split(separators, value) if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError(f"{key} = {value!r}: this has to be a list of texts")
    return tuple(filter(None, (" ".join(one.split()) for one in found)))


# --- into the database


def apply(tx: Transaction, room: Principal, said: Said) -> list[str]:
    """Brings a room to what is said of it; returns what was changed. Its home is locked. Raises ``Failure``."""
    if room.kind not in ANSWERING:
        raise Failure(f"{room.name!r} is no room and no resource.")
    known = tx.bookings.of([room.id]).get(room.id) or Booking(principal_id=room.id)
    wanted = _wanted(tx, room, known, said)
    changes = [
        name
        for name in ("policy", "delegate_id", "window_days", "beyond", "capacity", "equipment", "place")
        if getattr(known, name) != getattr(wanted, name)
    ]
    if (known.latitude, known.longitude) != (wanted.latitude, wanted.longitude):
        changes.append("position")
    if changes:
        tx.bookings.set(wanted)
    if _give_to_delegate(tx, room, known.delegate_id, wanted.delegate_id):
        changes.append("rights of the delegate")
    if said.booked_by is not None and _set_bookers(tx, room, said.booked_by):
        changes.append("booked by")
    if said.hours is not None and _set_hours(tx, room, said.hours):
        changes.append("hours")
    return [name.removesuffix("_id").removesuffix("_days") for name in changes]


def _wanted(tx: Transaction, room: Principal, known: Booking, said: Said) -> Booking:
    changes: dict[str, object] = {}
    if said.delegate is not None:
        changes["delegate_id"] = _delegate(tx, room, said.delegate).id if said.delegate else None
        if said.delegate and said.policy is None:
            changes["policy"] = BookingPolicy.DELEGATE
    if said.policy is not None:
        changes["policy"] = None if said.policy == DEFAULT else BookingPolicy(said.policy)
    if said.beyond is not None:
        changes["beyond"] = None if said.beyond == DEFAULT else Beyond(said.beyond)
    if said.window is not None:
        changes["window_days"] = said.window or None
    if said.capacity is not None:
        changes["capacity"] = said.capacity or None
    if said.equipment is not None:
        changes["equipment"] = tuple(dict.fromkeys(said.equipment))
    if said.place is not None:
        changes["place"] = said.place
    if said.position is not None:
        degrees: list[float | None] = [round(one, 6) for one in said.position]
        changes["latitude"], changes["longitude"] = degrees or (None, None)
    wanted = replace(known, **changes)  # type: ignore[arg-type]
    if wanted.policy is BookingPolicy.DELEGATE and wanted.delegate_id is None:
        raise Failure(f"Nobody answers for {room.name!r}: name the delegate, or another policy than delegate.")
    return wanted


def _delegate(tx: Transaction, room: Principal, name: str) -> Principal:
    found = tx.principals.by_name(name)
    if found is None:
        raise Failure(f"There is no user {name!r} to answer for {room.name!r}.")
    if found.kind in ANSWERING:
        raise Failure(f"{name!r} cannot answer for {room.name!r}: it is no person and no group.")
    return found


def _give_to_delegate(tx: Transaction, room: Principal, before: int | None, after: int | None) -> bool:
    """Lets the delegate, and no longer the one before, into the room's home; whether that was to be done."""
    root = _collection(tx, room)
    aces = list(tx.acls.of([root.id]).get(root.id, ()))
    wanted = [ace for ace in aces if before == after or before is None or ace != _ace(before)]
    if after is not None and _ace(after) not in wanted:
        wanted.append(_ace(after))
    if wanted == aces:
        return False
    tx.acls.set(root, wanted)
    return True


def _ace(principal_id: int) -> Ace:
    return Ace("principal", grant=True, privileges=_OF_DELEGATE, principal_id=principal_id)


def _collection(tx: Transaction, room: Principal, *names: str) -> Collection:
    found = tx.collections.find(room.name, names)
    if found is None or found.missing or found.object is not None:
        raise Failure(f"{room.name!r} has no {'/'.join(names) or 'home'}: is [scheduling] switched on?")
    return found.collection


def _set_bookers(tx: Transaction, room: Principal, names: Sequence[str]) -> bool:
    """Who may invite the room. Other ACEs of its inbox stay where they are, behind these."""
    inbox = _collection(tx, room, INBOX)
    aces = tuple(tx.acls.of([inbox.id]).get(inbox.id, ()))
    others = [ace for ace in aces if not _DELIVERING.issuperset(ace.privileges)]
    if EVERYBODY in names:
        ours = [_FOR_ALL]
    else:
        found = tx.principals.by_names(names)
        for name in names:
            if name not in found:
                raise Failure(f"There is no user {name!r} who could book {room.name!r}.")
        bookers = [
            Ace("principal", grant=True, privileges=(SCHEDULE_DELIVER_INVITE,), principal_id=found[name].id)
            for name in dict.fromkeys(names)
        ]
        ours = [*bookers, _BUT_INVITE]
    wanted = (*ours, *others)
    if wanted == aces:
        return False
    tx.acls.set(inbox, wanted)
    return True


def _set_hours(tx: Transaction, room: Principal, hours: str) -> bool:
    """Sets or takes away the hours of a room, which are those of its inbox; whether they were others."""
    inbox = _collection(tx, room, INBOX)
    owner = Owner("collection", inbox.id)
    known = tx.properties.of([owner], principal_id=0, names=HOURS).get(owner, ())
    if [room_hours.shown(one.xml) for one in known] == ([hours] if hours else []):
        return False
    for one in known:
        tx.properties.remove(owner, principal_id=0, namespace=one.namespace, name=one.name)
    if hours:
        set_text(tx, inbox, caldav("calendar-availability"), room_hours.availability(hours, room.timezone))
    tx.collections.touch(inbox)
    return True


def hours_of(tx: Transaction, rooms: Sequence[Principal]) -> Mapping[int, str]:
    """The hours of those of ``rooms`` that have some, in words; by principal."""
    by_home = {room.home_id: room.id for room in rooms}
    boxes = tx.collections.of_homes(list(by_home), kinds=(CollectionKind.INBOX,), names=HOURS)
    return {by_home[home.id]: room_hours.shown(stored[0].xml) for home, _, stored in boxes if stored}


def bookers(tx: Transaction, rooms: Sequence[Principal]) -> Mapping[int, Sequence[str]]:
    """The names of those whom the inboxes of ``rooms`` take invitations from, or ``@all``; by principal."""
    by_home = {room.home_id: room.id for room in rooms}
    inboxes = {
        by_home[home.id]: collection.id
        for home, collection, _ in tx.collections.of_homes(list(by_home), kinds=(CollectionKind.INBOX,))
    }
    lists = tx.acls.of(list(inboxes.values()))
    inviting = {
        room: [ace for ace in lists.get(inbox, ()) if ace.grant and not _INVITING.isdisjoint(ace.privileges)]
        for room, inbox in inboxes.items()
    }
    ids = {ace.principal_id for aces in inviting.values() for ace in aces if ace.principal_id is not None}
    names = {id_: one.name for id_, one in tx.principals.by_ids(ids).items()}
    out: dict[int, Sequence[str]] = {}
    for room in rooms:
        aces = inviting.get(room.id, [_FOR_ALL])  # without an inbox everybody can
        if any(ace.who in ("all", "authenticated") for ace in aces):
            out[room.id] = [EVERYBODY]
        else:
            out[room.id] = [names[ace.principal_id] for ace in aces if ace.principal_id in names]
    return out
