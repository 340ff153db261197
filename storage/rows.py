"""What the store returns: values, never live objects.

Times are whole seconds since 1970-01-01T00:00:00Z. Names and UIDs are compared bytewise (``A`` is not ``a``).
An :class:`ObjectRow` has only the columns that the caller named (design: names are columns, bodies are not); reading
another one is an ``AttributeError``, which is a bug in the caller and not a state of the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol


class PrincipalKind(StrEnum):
    """What a principal is; the CUTYPE of RFC 5545 section 3.2.3 in the store's words."""

    INDIVIDUAL = "individual"
    GROUP = "group"
    ROOM = "room"
    RESOURCE = "resource"


@dataclass(frozen=True, slots=True)
class Address:
    """A calendar user address (``mailto:u1@example.org``, lower-cased) of a principal."""

    uri: str
    preferred: bool


@dataclass(frozen=True, slots=True)
class Principal:
    """A person, group, room or resource.

    ``timezone`` is an IANA name or empty, ``language`` an RFC 5646 tag or empty. ``generation`` moves on whenever the
    principal's group memberships change, so that what it may see is a different question (see ``Home.generation``).
    """

    id: int
    name: str
    kind: PrincipalKind
    displayname: str
    timezone: str
    language: str
    admin: bool
    home_id: int
    generation: int
    created: int
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class AppPassword:
    """A named password for one program; ``hash`` is an argon2 hash, the password itself is not kept."""

    id: int
    name: str
    hash: str
    created: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a login is checked against. ``revision`` changes whenever any password is set, added or revoked."""

    principal_id: int
    revision: int
    password_hash: str | None
    app_passwords: tuple[AppPassword, ...] = ()


@dataclass(frozen=True, slots=True)
class Home:
    """The unit of locking, of sharding and of sync: everything that one principal owns.

    ``counter`` is the last number drawn in it, ``generation`` moves on with every change of an ACL in it,
    ``quota`` (bytes) is ``None`` where the installation's default counts, ``used`` is the sum of object sizes in bytes.
    """

    id: int
    principal_id: int
    owner: str
    counter: int
    generation: int
    quota: int | None
    used: int


class CollectionKind(StrEnum):
    """What a collection is for. ``HOME`` is the root of a home; the others are its descendants."""

    HOME = "home"
    CALENDAR = "calendar"
    PLAIN = "plain"
    SUBSCRIBED = "subscribed"
    INBOX = "inbox"
    OUTBOX = "outbox"


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection of a home.

    ``path`` are the names below the home (``()`` is the home itself), ``components`` the exact
    ``supported-calendar-component-set`` (empty: none was given). ``number`` is the number of the last change of the
    collection's own row or properties, ``revision`` the last number drawn in it or anywhere below it: the ctag.
    ``floor``: changes below this number are no longer (or were never) known. ``modified``: when ``revision`` last
    moved.
    """

    id: int
    home_id: int
    parent_id: int | None
    path: tuple[str, ...]
    kind: CollectionKind
    components: tuple[str, ...]
    number: int
    revision: int
    floor: int
    created: int
    modified: int

    @property
    def name(self) -> str:
        """The last path segment; empty for the home itself."""
        return self.path[-1] if self.path else ""


class ObjectRow(Protocol):
    """An object (calendar object resource or plain file) of a collection: the columns that were asked for.

    ``etag`` is without quotes. ``starts_at``/``ends_at`` bound all instances (``None``: open or unknown on that side).
    ``schedule_tag`` is empty where the object takes no part in scheduling. ``digest_version`` tells which version of
    the index columns the row was written with.
    """

    @property
    def id(self) -> int: ...
    @property
    def home_id(self) -> int: ...
    @property
    def collection_id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def component(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def etag(self) -> str: ...
    @property
    def schedule_tag(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def created(self) -> int: ...
    @property
    def modified(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def starts_at(self) -> int | None: ...
    @property
    def ends_at(self) -> int | None: ...
    @property
    def recurs(self) -> bool: ...
    @property
    def transparent(self) -> bool: ...
    @property
    def organizer(self) -> str: ...
    @property
    def spans(self) -> bytes: ...
    @property
    def digest_version(self) -> int: ...


#: Every column of an object that is small; the bodies are ``body`` and ``spans``.
OBJECT_COLUMNS = frozenset(
    "id home_id collection_id name uid component content_type etag schedule_tag number size created modified "
    "starts_at ends_at recurs transparent organizer digest_version".split()
)

#: Columns that every object read one by one has, asked for or not: what ``put``, ``move`` and ``remove`` need, and what
#: they tell of the change (``Moved``).
KEY_COLUMNS = frozenset("id home_id collection_id name uid number size created component starts_at ends_at".split())


@dataclass(frozen=True, slots=True)
class NewObject:
    """The content of an object as it is to be stored: the client's bytes and what the digest says of them.

    A plain file has an empty ``uid`` and ``component``.
    """

    body: bytes
    content_type: str
    uid: str = ""
    component: str = ""
    starts_at: int | None = None
    ends_at: int | None = None
    recurs: bool = False
    transparent: bool = False
    organizer: str = ""
    spans: bytes = b""
    digest_version: int = 0
    schedule_tag: str = ""


class Bounds(NamedTuple):
    """When an object is that was written: its kind, and the bounds of all its instances as in :class:`ObjectRow`."""

    component: str
    starts_at: int | None
    ends_at: int | None


@dataclass(frozen=True, slots=True)
class Moved:
    """A collection that a committed transaction moved on: for whoever keeps something that was computed from it.

    ``before`` is its revision at the beginning of the transaction (``None``: it did not read it under the lock),
    ``after`` the last number drawn in it. ``touched`` are the objects that were written, as they were and as they are;
    ``None``: any of them may have changed. A change of properties touches nothing.
    """

    collection_id: int
    before: int | None
    after: int
    touched: Sequence[Bounds] | None


class Spared(NamedTuple):
    """Rows whose ``body`` need not be read, because their ``spans`` say all about a stretch of time.

    They are of this ``digest_version``; their first 8 bytes are ``mark``, the next 8 not above ``start``, and the next
    8 not below ``end``, byte by byte.
    """

    digest_version: int
    mark: bytes
    start: bytes
    end: bytes


@dataclass(frozen=True, slots=True)
class Put:
    """One of many objects that are stored together; the fields are the arguments of ``Objects.put``."""

    collection: Collection
    name: str
    new: NewObject
    replaces: ObjectRow | None = None


#: What a stored property, an ACL or a lock belongs to.
OwnerKind = Literal["principal", "collection", "object"]


@dataclass(frozen=True, slots=True)
class Owner:
    """The resource that a stored property belongs to."""

    kind: OwnerKind
    id: int


@dataclass(frozen=True, slots=True)
class StoredProperty:
    """One property as XML: the whole element, so that attributes, language and prefixes survive (RFC 4918 4.3).

    ``principal_id`` is 0 for everyone, else the principal to whom this value belongs (per-user properties of shared
    calendars).
    """

    owner: Owner
    principal_id: int
    namespace: str
    name: str
    xml: bytes


AceWho = Literal["principal", "all", "authenticated", "unauthenticated", "self", "property"]


@dataclass(frozen=True, slots=True)
class Ace:
    """An access control entry of a collection, in evaluation order (RFC 3744 section 5.5).

    ``privileges`` are Clark names (``{DAV:}read``). ``who == "principal"`` names ``principal_id``,
    ``who == "property"`` names ``property`` (Clark name).
    """

    who: AceWho
    grant: bool
    privileges: tuple[str, ...]
    principal_id: int | None = None
    property: str = ""
    invert: bool = False
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Lock:
    """A WebDAV write lock (RFC 4918 section 6). ``path`` is below the home, ``expires`` epoch seconds."""

    token: str
    home_id: int
    path: tuple[str, ...]
    principal_id: int
    exclusive: bool
    infinite: bool
    owner_xml: bytes
    expires: int


@dataclass(frozen=True, slots=True)
class NewJob:
    """Something to be done outside the database after the commit.

    ``key`` (at most 255 characters) is the same for the same thing: it is taken once. Jobs of one ``stream`` are leased
    one after the other, in the order in which they were added; an empty one is in no order with others. Jobs with the
    same ``text`` keep it once: a thousand invitations to one meeting.
    """

    key: str
    payload: bytes
    stream: str = ""
    text: bytes = b""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was leased: whoever has ``lease`` may speak for it. ``attempts`` counts this lease as well."""

    id: int
    kind: str
    key: str
    payload: bytes
    created: int
    attempts: int
    last_error: str
    lease: str
    leased_until: int
    text: bytes


@dataclass(frozen=True, slots=True)
class HeldMail:
    """A mail that was not believed: from ``sender`` to ``recipient`` (mail addresses as they were), and why.

    ``body`` is the mail; empty where many are listed.
    """

    id: int
    received: int
    sender: str
    recipient: str
    reason: str
    body: bytes


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A line of the scheduling log.

    ``actor`` sent it and ``recipient`` was to get it (calendar user addresses), ``method`` is the iTIP method,
    ``status`` the SCHEDULE-STATUS that the sender is given, ``destination`` where it went and ``reason`` the rule by
    which, both in words.
    """

    at: int
    uid: str
    actor: str
    recipient: str
    method: str
    status: str
    destination: str
    reason: str


class BookingPolicy(StrEnum):
    """How a room or resource answers when it is invited."""

    AUTOMATIC = "automatic"
    ACCEPT = "accept"
    DECLINE = "decline"
    DELEGATE = "delegate"
    NONE = "none"


class Beyond(StrEnum):
    """What a room does with a booking that reaches beyond how far ahead it can be booked, or never ends."""

    DECLINE = "decline"
    CUT = "cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """How a room or resource answers, and what it offers. ``None``: not said, the installation's default counts.

    ``window_days`` is how far ahead it can be booked, ``capacity`` how many people fit in. ``equipment`` are names,
    ``place`` is where it is in words, ``latitude`` and ``longitude`` the same in degrees (kept to a millionth).
    ``delegate_id`` is the principal that answers for it where the policy says so.
    """

    principal_id: int
    policy: BookingPolicy | None = None
    beyond: Beyond | None = None
    window_days: int | None = None
    capacity: int | None = None
    equipment: tuple[str, ...] = ()
    place: str = ""
    latitude: float | None = None
    longitude: float | None = None
    delegate_id: int | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """A page of changes in one collection, in the order of their numbers.

    ``reached`` is the number of the last change in the page (or the collection's revision with the last page), so that
    ``since(reached)`` goes on where this page ends. ``truncated``: there is more.
    """

    changed: Sequence[ObjectRow]
    removed: Sequence[str]
    reached: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Walk:
    """All changes in one collection, as in a :class:`Delta`; ``changed`` are read as they are wanted, and once."""

    changed: Iterator[ObjectRow]
    removed: Sequence[str]
    reached: int


@dataclass(frozen=True, slots=True)
class HomeDelta:
    """A page of changes below a home or a plain collection, in the order of their numbers.

    ``collections`` changed themselves (or, with level 1, in their members); ``objects`` come with the path of their
    collection; ``removed`` are paths below the home of objects that are gone, ``removed_collections`` of collections
    (with all that was in them). What is gone is older than what is there: one may stand where the other stood.
    """

    collections: Sequence[Collection]
    objects: Sequence[tuple[tuple[str, ...], ObjectRow]]
    removed: Sequence[tuple[str, ...]]
    removed_collections: Sequence[tuple[str, ...]]
    reached: int
    truncated: bool


class OwnedObject(NamedTuple):
    """What GET sends of a member. ``has_properties``: whether anything is stored with it by PROPPATCH."""

    etag: str
    modified: int
    schedule_tag: str | None
    body: bytes
    has_properties: bool


class Owned(NamedTuple):
    """A collection directly below the home of a principal, with the principal's id and ``revision`` of credentials.

    ``object`` is the member that was named; ``None``: there is none of that name.
    """

    principal_id: int
    revision: int
    collection: Collection
    object: OwnedObject | None


@dataclass(frozen=True, slots=True)
class Found:
    """Where a path leads.

    ``chain`` are the collections that exist, from the home downward; ``object`` is the member that the last name maps
    to; ``missing`` are the names that map to nothing (empty: the path exists).
    """

    home: Home
    chain: tuple[Collection, ...]
    object: ObjectRow | None
    missing: tuple[str, ...]

    @property
    def collection(self) -> Collection:
        """The deepest collection on the path."""
        return self.chain[-1]


#: ``{address uri: principal}``, without those that belong to nobody here.
ByAddress = Mapping[str, Principal]
