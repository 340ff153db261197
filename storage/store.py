"""What a store offers: the Protocols that the floors above are written against.

The SQL store (:mod:`storage.sql`) is the one that comes with the server; ``[storage] type`` names another one.

**Rules of a transaction** (``docs/decisions``): a unit of work finds out which homes it touches, locks them once
(``tx.homes.lock``), only then reads what decides, decides, writes. It may be run again from its start, so it has no
effect outside the database; effects go into :meth:`Transaction.after_commit`. Every changed row draws its own number
from its home's counter; the store does that itself, and a home that was not locked cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection as Members, Generator, Iterator, Mapping, Sequence
from typing import Literal, Protocol, TypeVar

from storage.rows import (
    Ace,
    Address,
    AppPassword,
    Booking,
    ByAddress,
    Collection,
    CollectionKind,
    Credentials,
    Delta,
    Found,
    HeldMail,
    Home,
    HomeDelta,
    Job,
    JournalEntry,
    Lock,
    Moved,
    NewJob,
    NewObject,
    ObjectRow,
    Owned,
    Owner,
    Principal,
    PrincipalKind,
    Put,
    Spared,
    StoredProperty,
    Walk,
)

T = TypeVar("T")
MatchType = Literal["contains", "equals", "starts-with", "ends-with"]


class Principals(Protocol):
    """The directory: one table for all homes."""

    def by_name(self, name: str) -> Principal | None: ...
    def by_names(self, names: Members[str]) -> Mapping[str, Principal]: ...
    def by_id(self, principal_id: int) -> Principal | None: ...
    def by_ids(self, ids: Members[int]) -> Mapping[int, Principal]: ...
    def by_addresses(self, uris: Members[str]) -> ByAddress: ...
    def search(
        self,
        *,
        text: str,
        fields: Members[Literal["name", "displayname", "address"]],
        match: MatchType,
        kinds: Members[PrincipalKind] = (),
        limit: int,
    ) -> Sequence[Principal]:
        """Caseless search; any of ``fields`` may match."""

    def all(self, *, after: str = "", limit: int = 1000) -> Sequence[Principal]:
        """A page of all principals in the order of their names."""

    def add(
        self,
        *,
        name: str,
        kind: PrincipalKind,
        displayname: str = "",
        addresses: Sequence[Address] = (),
        timezone: str = "",
        language: str = "",
        admin: bool = False,
        quota: int | None = None,
    ) -> Principal:
        """Creates the principal, its home and the home's root collection (which is locked by this transaction).

        Raises ``NameTaken`` or ``AddressTaken``.
        """

    def update(self, principal: Principal) -> None:
        """Writes display name, zone, language, admin and addresses. Raises ``AddressTaken``, ``NotFound``."""

    def remove(self, principal_id: int) -> None:
        """Removes the principal, its home and everything in it, its memberships, ACEs and per-user properties."""

    def members(self, group_id: int) -> Sequence[Principal]:
        """The direct members of a group."""

    def groups(self, principal_id: int, *, transitive: bool) -> Sequence[Principal]:
        """The groups that the principal is a member of; ``transitive``: also through other groups."""

    def members_of(self, group_ids: Members[int]) -> Mapping[int, Sequence[Principal]]:
        """The direct members of many groups, in the order of their names; empty where there are none."""

    def groups_of(self, principal_ids: Members[int]) -> Mapping[int, Sequence[Principal]]:
        """The groups that each of many principals is a direct member of, in the order of their names."""

    def set_members(self, group_id: int, member_ids: Members[int]) -> None:
        """Replaces the direct members and moves the generation of everyone affected."""

    def credentials(self, name: str) -> Credentials | None: ...
    def for_login(self, name: str) -> tuple[Principal, Credentials] | None:
        """``by_name`` with its addresses and ``credentials`` in one statement: what every request begins with."""

    def set_password(self, principal_id: int, password_hash: str | None) -> None: ...
    def rehash_password(self, principal_id: int, *, old: str, new: str) -> bool:
        """Replaces the hash of the same password, and only if it is still ``old``; the revision stays.

        One statement with ``old`` in its condition, so that a password changed meanwhile is not set back.
        """

    def add_app_password(self, principal_id: int, *, name: str, password_hash: str) -> AppPassword: ...
    def revoke_app_password(self, principal_id: int, name: str) -> bool: ...


class Homes(Protocol):
    """Homes, their locks and their counters."""

    def get(self, home_id: int) -> Home: ...
    def of(self, owner: str) -> Home | None:
        """The home of the principal with this name."""

    def lock(self, home_ids: Members[int]) -> Mapping[int, Home]:
        """Locks the homes' rows in ascending id; once a transaction. Returns them as they are under the lock.

        Raises ``NotFound`` where a home has gone.
        """

    def lock_of(self, owners: Members[str]) -> Mapping[str, Home]:
        """As ``lock`` for the homes of the principals with these names, in one statement where it is one name.

        Names of nobody are not in the answer.
        """

    def lock_more(self, owners: Members[str]) -> bool:
        """Locks these homes as well, in a transaction that may hold others; what lies in them is to be read after it.

        ``False``: nothing was locked, because somebody who holds one of them may be waiting for what is held here. The
        work has to be run again from its start with all of them locked at once.
        """

    def left(self, home_id: int) -> int | None:
        """Bytes that a locked home may still take (below 0: it has too many); ``None`` where it has no quota."""

    def set_quota(self, home_id: int, quota: int | None) -> None: ...


class Collections(Protocol):
    """Collections of homes. Writing needs the home locked."""

    def find(self, owner: str, names: Sequence[str], *, columns: frozenset[str] = frozenset()) -> Found | None:
        """Follows ``names`` below the home of ``owner``; ``None`` where there is no such home. At most two statements.

        ``columns``: what of the object at the end of the path is needed beside ``KEY_COLUMNS``.
        """

    def owned(self, owner: str, calendar: str, member: str = "") -> Owned | None:
        """A collection of this name in the home of a principal, and a member of it: one statement.

        With what tells whether a login of the principal still counts. ``None`` where there is no such collection.
        """

    def get(self, collection_id: int) -> Collection | None: ...
    def roots(self, home_ids: Members[int]) -> Sequence[tuple[Home, Collection]]:
        """Homes with their root collections, in the order of their owners' names; what has gone is left out."""

    def children(self, collection_id: int) -> Sequence[Collection]: ...
    def of_home(self, home_id: int) -> Sequence[Collection]:
        """All collections of the home, the home's root first, in the order of their paths."""

    def of_homes(
        self, home_ids: Members[int], *, kinds: Members[CollectionKind], names: Members[tuple[str, str]] = ()
    ) -> Sequence[tuple[Home, Collection, Sequence[StoredProperty]]]:
        """The collections of these kinds in many homes, by home and path; one statement a batch.

        With what is stored of the properties ``names`` (namespace, name): everyone's values and those of the home's
        own principal, which win.
        """

    def add(self, parent: Collection, name: str, *, kind: CollectionKind, components: Sequence[str] = ()) -> Collection:
        """Raises ``NameTaken`` where a collection or object of this name exists."""

    def touch(self, collection: Collection) -> None:
        """Draws a number for a change of the collection's own properties."""

    def remove(self, collection: Collection) -> None:
        """Removes it with all below it (objects, properties, ACEs, locks); leaves one removal in the parent."""

    def move(self, collection: Collection, parent: Collection, name: str) -> Collection:
        """Moves it with all below it, also into another (locked) home.

        Its members draw new numbers there and count as modified now (see ``Objects.move``).
        """

    def copy(self, collection: Collection, parent: Collection, name: str, *, infinite: bool) -> Collection:
        """Copies it with its stored properties, with ``infinite`` also all below it, also into another (locked) home.

        What comes of it is new: created now, with numbers of its own, without ACEs and locks; bytes and ETags stay.
        Raises ``NameTaken``, ``QuotaExceeded``. The statements grow with the number of collections, not of objects.
        """


class Objects(Protocol):
    """Objects of collections. Writing needs the home locked.

    ``get`` and those by UID add ``KEY_COLUMNS`` to the columns asked for. ``by_names`` adds only the name: who writes
    over what it gives asks for ``KEY_COLUMNS``.
    """

    def get(self, collection_id: int, name: str, *, columns: frozenset[str]) -> ObjectRow | None: ...
    def by_names(
        self, collection_id: int, names: Members[str], *, columns: frozenset[str]
    ) -> Mapping[str, ObjectRow]: ...
    def by_uid(self, collection_id: int, uid: str, *, columns: frozenset[str]) -> ObjectRow | None: ...
    def by_uid_in_home(self, home_id: int, uid: str, *, columns: frozenset[str]) -> Sequence[ObjectRow]: ...
    def by_uid_in_homes(
        self, home_ids: Members[int], uid: str, *, columns: frozenset[str]
    ) -> Mapping[int, Sequence[ObjectRow]]:
        """As ``by_uid_in_home`` for many homes, by home; one statement a batch. Homes without any may be missing."""

    def page(self, collection_id: int, *, columns: frozenset[str], after: str = "", limit: int) -> Sequence[ObjectRow]:
        """A page of members in the order of their names (above ``after``); ``id`` and ``name`` are always there.

        Whoever goes through a collection by pages meets each member once that keeps its name meanwhile.
        """

    def each(self, collection_id: int, *, columns: frozenset[str]) -> Iterator[ObjectRow]:
        """All members as one statement finds them, read as they are wanted; ``name`` and ``number`` are always there.

        Nothing else may be asked of the transaction before the last row.
        """

    def within(
        self,
        collection_id: int,
        *,
        columns: frozenset[str],
        components: Members[str] = (),
        start: int | None = None,
        end: int | None = None,
    ) -> Iterator[ObjectRow]:
        """The members whose bounds meet a stretch of time, in the order in which they were made.

        ``start`` and ``end`` (epoch seconds, included; None: open); an open bound of a member meets every stretch.
        ``components``: only those (empty: all). The rows are read some hundreds at a time; one that is changed or
        removed meanwhile comes as it is then, or not at all.
        """

    def scan(
        self, wanted: Mapping[str, Members[int]], *, columns: frozenset[str], start: int, end: int
    ) -> Sequence[ObjectRow]:
        """The members of many collections whose bounds meet a stretch of time.

        ``wanted``: by component, the collections in which those are looked for. ``columns`` and the stretch are as in
        ``within``; ``collection_id`` is always among the columns. One statement for every few hundred collections.
        """

    def stream(
        self,
        wanted: Mapping[str, Members[int]],
        *,
        columns: frozenset[str],
        start: int,
        end: int,
        spared: Spared | None = None,
    ) -> Generator[ObjectRow, None, None]:
        """As ``scan``, but the rows come as they are read, so that all their bodies are never in memory together.

        The body of rows that are ``spared`` is empty. ``columns`` has ``body`` then.

        Nothing else may be asked of the transaction before the last row, or ``close``.
        """

    def count(self, collection_id: int) -> int: ...
    def put(self, collection: Collection, name: str, new: NewObject, *, replaces: ObjectRow | None) -> ObjectRow:
        """Creates or replaces a member and draws its number; returns the row with ``OBJECT_COLUMNS``.

        ``replaces`` is the row that was read under the lock (``None``: the name is free). The ETag is a hash of the
        bytes. Raises ``NameTaken``, ``UidTaken``, ``QuotaExceeded``, ``UnstorableText``; the transaction is still
        usable after each of them.
        """

    def put_many(self, collection: Collection, new: Sequence[tuple[str, NewObject]]) -> None:
        """Creates many members in few statements (import). Raises as ``put``."""

    def put_across(self, puts: Sequence[Put]) -> Sequence[bool]:
        """Creates and replaces members of many collections in many homes, in few statements: a meeting's copies.

        Of each whether it was stored; it was not where its home would grow above its quota. An object is named once.
        New names are to be random, and the UIDs of new members such as their collections do not have: only the unique
        indexes look for them. Raises ``UnstorableText``.
        """

    def remove_across(self, members: Sequence[tuple[Collection, ObjectRow]]) -> None:
        """Removes members of many collections in few statements. Raises ``NotFound``."""

    def redigest(self, object_id: int, new: NewObject) -> None:
        """Rewrites the index columns of an object (not its bytes), and its Schedule-Tag if ``new`` has one.

        It draws no number: whoever syncs is told nothing.
        """

    def touch(self, collection: Collection, row: ObjectRow) -> None:
        """Draws a number for a change of the object's properties; the ETag stays."""

    def remove(self, collection: Collection, row: ObjectRow) -> None: ...
    def move(self, source: Collection, row: ObjectRow, target: Collection, name: str) -> ObjectRow:
        """Moves a member with its properties; the target name must be free. ETag, bytes and creation time stay.

        Its time of modification does not: at a URL that had another content it has to go up (RFC 4918 section 8.8).
        """


class Changes(Protocol):
    """What changed since (RFC 6578).

    A walk has a ``base`` and a ``cursor``. ``base`` is where the client stood when the walk began: its last token's
    number, or for an initial sync the revision at that moment. Pages go on from ``cursor`` (an initial sync: from 0)
    in the order of the numbers; removals are told above ``base`` only. What changes during the walk draws a higher
    number and so comes later in the same walk: nothing is lost and no page has to be held open. The floor is checked
    against ``base``.
    """

    def since(self, collection_id: int, *, base: int, cursor: int, limit: int | None, columns: frozenset[str]) -> Delta:
        """The members that changed above ``cursor``, ascending; raises ``TokenTooOld``: ``base`` lies below the floor.

        ``limit`` counts changed and removed members together. ``name`` and ``number`` are always among the columns.
        A ``base`` above the collection's revision is not one of ours: ``TokenTooOld`` as well.
        """

    def walk(self, collection_id: int, *, base: int, cursor: int, columns: frozenset[str]) -> Walk:
        """As ``since`` without a limit, for any number of members: the rows are read a page at a time."""

    def since_below(
        self,
        collection: Collection,
        *,
        base: int,
        cursor: int,
        limit: int | None,
        infinite: bool,
        columns: frozenset[str],
    ) -> HomeDelta:
        """As ``since`` for a home or plain collection.

        Its objects and child collections (whose *revision* is above ``cursor``); ``infinite``: all descendants, each
        collection with its own *number*.
        """


class Properties(Protocol):
    """Stored properties (dead ones, and live ones that are only stored)."""

    def of(
        self, owners: Members[Owner], *, principal_id: int, names: Members[tuple[str, str]] | None = None
    ) -> Mapping[Owner, Sequence[StoredProperty]]:
        """Everyone's values and those of ``principal_id`` (which win), for many owners in one statement a batch.

        ``names``: only these (namespace, name) pairs.
        """

    def set(self, prop: StoredProperty) -> None: ...
    def remove(self, owner: Owner, *, principal_id: int, namespace: str, name: str) -> None: ...
    def copy(self, source: Owner, target: Owner) -> None: ...


class Acls(Protocol):
    """Stored ACEs of collections."""

    def of(self, collection_ids: Members[int]) -> Mapping[int, Sequence[Ace]]: ...
    def set(self, collection: Collection, aces: Sequence[Ace]) -> None:
        """Replaces the collection's ACEs and moves its home's generation."""

    def granted_to(self, principal_ids: Members[int]) -> Sequence[Collection]:
        """Collections of which an ACE names one of these principals (what is shared with me)."""


class Locks(Protocol):
    """WebDAV locks (RFC 4918 section 6); expired ones are never returned."""

    def of_home(self, home_id: int) -> Sequence[Lock]: ...
    def add(self, lock: Lock) -> None: ...
    def refresh(self, token: str, *, expires: int) -> None: ...
    def remove(self, token: str) -> None: ...
    def remove_below(self, home_id: int, path: tuple[str, ...]) -> None:
        """Removes the locks whose root is ``path`` or below it."""

    def remove_at(self, places: Members[tuple[int, tuple[str, ...]]]) -> None:
        """Removes the locks whose root is one of ``places`` (home, path); two statements a batch at most."""


class Logins(Protocol):
    """Failed logins, and from where logins succeed, seen by every worker. Keys are ASCII of at most 64 characters."""

    def failures(self, keys: Members[str], *, since: int) -> Mapping[str, int]:
        """How often ``fail`` was called with each key at ``since`` or later; keys without any may be missing."""

    def fail(self, keys: Members[str], *, at: int) -> None: ...
    def clear(self, keys: Members[str]) -> None:
        """Forgets the failures of these keys."""

    def succeed(self, key: str, *, at: int) -> None:
        """Notes the time of the last success of a key (one row a key); ``Store.clean`` forgets it after 60 days."""

    def succeeded(self, keys: Members[str], *, since: int) -> Members[str]:
        """Those of ``keys`` whose last success was at ``since`` or later."""


class Queue(Protocol):
    """What is to be done outside the database: rows of the transaction that it follows from. No home has to be locked.

    ``done``, ``retry`` and ``fail`` are for who has the lease; they return whether that is still so. Where it is not,
    the lease ran out and somebody else has the job: nothing is changed.
    """

    def add(self, kind: str, jobs: Sequence[NewJob], *, not_before: int = 0) -> None:
        """Adds jobs that may be done from ``not_before`` on; those whose (kind, key) is known stay as they are.

        A key is known until some days after its job was done (``Store.clean``).
        """

    def lease(self, kind: str, *, limit: int, until: int) -> Sequence[Job]:
        """At most ``limit`` jobs that are due and that nobody has, the oldest first; nobody else gets them till then.

        Of a stream it is the oldest unfinished job or none. Whoever does not come back in time (a killed process) is
        taken to have failed, and the job is leased again.
        """

    def done(self, job: Job) -> bool:
        """The job is finished; its payload is dropped."""

    def retry(self, job: Job, *, at: int, error: str) -> bool:
        """It did not work for the reason ``error``; it is due again ``at`` (epoch seconds)."""

    def fail(self, job: Job, *, error: str) -> bool:
        """It will never work; those behind it in its stream go on."""

    def next_at(self, kind: str) -> int | None:
        """When a job may be leased, epoch seconds (also past ones); ``None``: nothing waits."""

    def counts(self, kind: str) -> Mapping[str, int]:
        """How many jobs are ``waiting``, ``done`` and ``failed``; a state without any may be missing."""


class Journal(Protocol):
    """The scheduling log. It is a log: what no database keeps is kept shortened, not refused."""

    def add(self, entries: Sequence[JournalEntry]) -> None: ...
    def of_uid(self, uid: str, *, address: str = "", after: int = 0, limit: int) -> Sequence[tuple[int, JournalEntry]]:
        """A page of the entries of a UID in the order of their ids, which come with them.

        ``address``: only those in which this address is the actor or the recipient.
        """


class Bookings(Protocol):
    """How rooms and resources answer, and what they offer. No home has to be locked."""

    def of(self, principal_ids: Members[int]) -> Mapping[int, Booking]:
        """What is set for many rooms, in one statement a batch; those of which nothing was ever set are not in it."""

    def set(self, booking: Booking) -> None:
        """Replaces what is set for a room. Raises ``UnstorableText``."""


class HeldMails(Protocol):
    """Mails that were not believed, kept for a person to look at. ``Store.clean`` drops those of long ago."""

    def add(self, *, sender: str, recipient: str, reason: str, body: bytes, most: int) -> int:
        """Keeps a mail; returns its id. The same one to the same recipient within a week is kept once.

        Of more than ``most`` the oldest go.
        """

    def get(self, mail_id: int) -> HeldMail | None: ...
    def page(self, *, after: int = 0, limit: int) -> Sequence[HeldMail]:
        """A page of all of them in the order of their ids, without their bodies."""

    def remove(self, mail_id: int) -> bool:
        """Whether there was such a one."""


class FreeBusyLinks(Protocol):
    """Who has opened a link to their free/busy. No home has to be locked."""

    def serial(self, principal_id: int) -> int | None:
        """The serial of the principal's link; ``None``: it has none."""

    def renew(self, principal_id: int) -> int:
        """Opens the link, or makes it another one: draws a serial that was never there."""

    def remove(self, principal_id: int) -> None: ...


class Transaction(Protocol):
    """One transaction, in parts. Usable only inside ``Store.run``."""

    @property
    def principals(self) -> Principals: ...
    @property
    def homes(self) -> Homes: ...
    @property
    def collections(self) -> Collections: ...
    @property
    def objects(self) -> Objects: ...
    @property
    def changes(self) -> Changes: ...
    @property
    def properties(self) -> Properties: ...
    @property
    def acls(self) -> Acls: ...
    @property
    def locks(self) -> Locks: ...
    @property
    def logins(self) -> Logins: ...
    @property
    def queue(self) -> Queue: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def freebusy_links(self) -> FreeBusyLinks: ...
    @property
    def held_mails(self) -> HeldMails: ...
    @property
    def bookings(self) -> Bookings: ...

    @property
    def now(self) -> int:
        """The time of this transaction, epoch seconds."""

    @property
    def write(self) -> bool:
        """Whether it may write: what it reads then may be its own, and be taken back."""

    def after_commit(self, hook: Callable[[], None]) -> None: ...


class Store(Protocol):
    """A place where homes are kept."""

    @property
    def epoch(self) -> str:
        """Random, changed by a restore: part of every token, ctag and cache key."""

    def secret(self, purpose: str) -> bytes:
        """A key of 32 bytes for signing (HMAC), another one for each purpose; it outlives restarts and restores."""

    def run(self, work: Callable[[Transaction], T], *, write: bool) -> T:
        """Runs ``work`` in one transaction, commits, then runs the after-commit hooks.

        A deadlock, a serialization failure, a lost race or a failure at commit runs it again from its start, a bounded
        number of times; then ``Busy``. Errors raised by ``work`` roll back and pass through.
        """

    def watch(self, told: Callable[[str, Sequence[Moved]], None]) -> None:
        """From now on ``told`` is called with the epoch and what moved after each commit of this process.

        In the thread that wrote, before ``run`` returns; several commits may be told in any order. What it raises is
        logged.
        """

    def check(self) -> Iterator[str]:
        """What is wrong with the rows, a sentence each (``caldavd doctor``); nothing where all is well."""

    def check_schema(self) -> None:
        """Raises ``SchemaMismatch``, or ``Unreachable`` where the database lets nobody in."""

    def upgrade(self) -> None:
        """Creates or migrates the schema (``caldavd db upgrade``)."""

    def clean(self, *, removals_before: int) -> None:
        """Housekeeping: drops expired locks, old failed logins, old marks of commits, and removals of long ago.

        Of the queue it forgets what was done or failed some time ago, of the scheduling log the old entries.
        Removals older than ``removals_before`` (epoch seconds) are forgotten, and the floors move up, so that older
        tokens are refused.
        """

    def new_epoch(self) -> str:
        """Draws a new epoch: to be run after a restore."""

    def close(self) -> None: ...
