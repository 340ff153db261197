"""What a new principal gets: an account, its addresses, and the collections it starts with (clients.md rule 34).

Used by the command line and by whoever makes an account at a first login (``[auth] create``). The caller is inside a
transaction; nothing here commits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from caldavd.boxes import create_boxes
from caldavd.privileges import READ, WRITE
from caldavd.xml.fragment import attribute, text
from caldavd.xml.names import apple, caldav, dav, split
from config.settings import Provisioning
from scheduling.addresses import normal
from storage.rows import Ace, Address, Collection, CollectionKind, Owner, Principal, PrincipalKind, StoredProperty
from storage.store import Transaction

#: Names that work in a path, in Basic authentication (no colon: RFC 7617 section 2) and on iPhones (no percent sign).
_NAME = re.compile(r"[^\x00-\x20\x7f/:%?#\\\"<>]{1,128}")
NAME_RULE: Final = '1 to 128 characters without spaces and without any of / : % ? # \\ " < >, and not . or ..'

#: Who sees what in ``calendar-order``: the calendar before the task list.
_CALENDAR_ORDER, _TASKS_ORDER = "1", "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPrincipal:
    """Somebody who is to have an account.

    ``addresses`` are calendar user addresses (``mailto:…``), the first one preferred; ``quota`` in bytes (``None``: the
    installation's default); ``timezone`` an IANA name or empty; ``language`` an RFC 5646 tag or empty;
    ``empty``: without the collections that others start with; ``schedules``: with inbox and outbox.
    """

    name: str
    kind: PrincipalKind = PrincipalKind.INDIVIDUAL
    displayname: str = ""
    addresses: Sequence[str] = ()
    timezone: str = ""
    language: str = ""
    admin: bool = False
    quota: int | None = None
    empty: bool = False
    schedules: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCalendar:
    """A calendar collection that is to be made, with the properties that clients show."""

    name: str
    displayname: str
    components: Sequence[str]
    colour: str = ""
    order: str = ""
    description: str = ""


def valid_name(name: str) -> bool:
    """Whether ``name`` can be a principal's name; ``NAME_RULE`` says in words what can."""
    return bool(_NAME.fullmatch(name)) and name not in (".", "..")


def address(value: str) -> str:
    """A calendar user address as it is kept: the form by which it is found (``scheduling.addresses``).

    Raises:
        ValueError: it is neither a mail address nor a URI.
    """
    bare = value.strip()
    if re.fullmatch(r"[^@\s:/]+@[^@\s]+", bare):
        return normal(f"mailto:{bare}")
    if re.fullmatch(r"(?i:mailto:[^@\s]+@[^@\s]+|urn:\S+|https?://\S+|tel:\S+)", bare):
        return normal(bare)
    raise ValueError(f"{value!r} is neither a mail address nor a URI such as mailto: or urn:uuid:")


def addresses(uris: Iterable[str]) -> tuple[Address, ...]:
    """Rows for addresses: the first one is the preferred one, a second mention of one is dropped."""
    return tuple(Address(uri, preferred=place == 0) for place, uri in enumerate(dict.fromkeys(uris)))


def create(tx: Transaction, new: NewPrincipal, settings: Provisioning) -> Principal:
    """Makes the principal, its home, and what it starts with.

    People get ``calendar/`` and ``tasks/``, rooms and resources ``calendar/``, groups an empty home for their members.

    Raises:
        NameTaken, AddressTaken: somebody else has the name or one of the addresses.
    """
    principal = tx.principals.add(
        name=new.name,
        kind=new.kind,
        displayname=new.displayname or new.name,
        addresses=addresses(new.addresses or _usual_address(new, settings)),
        timezone=new.timezone,
        language=new.language,
        admin=new.admin,
        quota=new.quota,
    )
    found = tx.collections.find(new.name, ())
    if found is None:
        raise RuntimeError(f"The store made no home for {new.name!r}.")
    if new.schedules and new.kind is not PrincipalKind.GROUP:
        create_boxes(tx, found.collection)
    if new.kind is PrincipalKind.GROUP:
        tx.acls.set(found.collection, [_members_may_use(principal)])
    for calendar in () if new.empty else _first_calendars(new.kind, settings):
        create_calendar(tx, found.collection, calendar)
    return principal


def _members_may_use(group: Principal) -> Ace:
    """What the members of a new group may do in its home: everything but saying who may do what.

    An administrator can change it with the ACL method; it is not protected.
    """
    return Ace("principal", grant=True, privileges=(READ, WRITE), principal_id=group.id)


def _usual_address(new: NewPrincipal, settings: Provisioning) -> tuple[str, ...]:
    """The name, if it is a mail address; the name at ``mail_domain``; or none."""
    if "@" in new.name:
        try:
            return (address(new.name),)
        except ValueError:
            return ()
    return (f"mailto:{new.name}@{settings.mail_domain}".lower(),) if settings.mail_domain else ()


def _first_calendars(kind: PrincipalKind, settings: Provisioning) -> Iterable[NewCalendar]:
    if kind is not PrincipalKind.GROUP:
        yield NewCalendar(
            name="calendar",
            displayname=settings.calendar_name,
            components=("VEVENT",),
            colour=settings.calendar_color,
            order=_CALENDAR_ORDER,
        )
    if kind is PrincipalKind.INDIVIDUAL:
        yield NewCalendar(
            name="tasks",
            displayname=settings.tasks_name,
            components=("VTODO",),
            colour=settings.tasks_color,
            order=_TASKS_ORDER,
        )


def create_calendar(tx: Transaction, parent: Collection, new: NewCalendar) -> Collection:
    """Makes a calendar below ``parent``, whose home this transaction has locked. Raises ``NameTaken``."""
    made = tx.collections.add(parent, new.name, kind=CollectionKind.CALENDAR, components=tuple(new.components))
    for name, value in (
        (dav("displayname"), new.displayname),
        (apple("calendar-color"), new.colour),
        (apple("calendar-order"), new.order),
        (caldav("calendar-description"), new.description),
    ):
        if value:
            set_text(tx, made, name, value)
    return made


def set_text(tx: Transaction, collection: Collection, name: str, value: str) -> None:
    """Stores a property (Clark name) that is plain text, for everyone. The home is locked by this transaction."""
    namespace, local = split(name)
    xml = f"<P:{local} xmlns:P={attribute(namespace)}>{text(value)}</P:{local}>"
    tx.properties.set(StoredProperty(Owner("collection", collection.id), 0, namespace, local, xml.encode()))
