"""The directory of principals, their addresses, groups and passwords: one for all homes, not under any home's lock.

Races on names and addresses end at a unique index: the loser's work runs again and then sees who was first.
"""

from __future__ import annotations

from collections.abc import Collection as Members, Iterable, Mapping, Sequence
from operator import attrgetter
from secrets import randbits
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import CTE, ColumnElement, Row, Select, bindparam, delete, insert, or_, select, update

from storage.batches import batches
from storage.errors import AddressTaken, NameTaken, NotFound
from storage.rows import Address, AppPassword, ByAddress, Credentials, Home, Principal, PrincipalKind
from storage.sql.direct import Direct, DirectAmong
from storage.sql.names import checked_name, checked_text, folded, storable
from storage.sql.schema import (
    addresses,
    app_passwords,
    collection_properties,
    collections,
    homes,
    locks,
    memberships,
    meta,
    object_properties,
    principal_properties,
    principals,
)
from storage.sql.types import key_hash

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction
    from storage.store import MatchType

_COLUMNS = (
    principals.c.id,
    principals.c.name,
    principals.c.kind,
    principals.c.displayname,
    principals.c.timezone,
    principals.c.language,
    principals.c.admin,
    homes.c.id.label("home_id"),
    principals.c.generation,
    principals.c.created,
)
_WITH_HOME = principals.join(homes, homes.c.principal_id == principals.c.id)
#: A row for each address (one with nulls where there is none).
_WITH_ADDRESSES = (
    select(*_COLUMNS, addresses.c.uri, addresses.c.preferred)
    .select_from(_WITH_HOME.outerjoin(addresses, addresses.c.principal_id == principals.c.id))
    .order_by(principals.c.name, addresses.c.id)
)
_BY_NAME = _WITH_ADDRESSES.where(principals.c.name == bindparam("name"))
_BY_NAMES = _WITH_ADDRESSES.where(principals.c.name.in_(bindparam("names", expanding=True)))
_BY_NAMES = _WITH_ADDRESSES.where(principals.c.name.in_(bindparam("names", expanding=True)))
_BY_IDS = _WITH_ADDRESSES.where(principals.c.id.in_(bindparam("ids", expanding=True)))
_BY_ADDRESSES = select(addresses.c.uri, addresses.c.principal_id).where(
    addresses.c.uri_hash.in_(bindparam("hashes", expanding=True))
)
_named = addresses.alias("named")
#: Principals with all their addresses, found by any of them.
_HAVING_ADDRESSES = DirectAmong(
    _WITH_ADDRESSES.join(_named, _named.c.principal_id == principals.c.id), _named.c.uri_hash
)
_PAGE = (
    select(principals.c.id)
    .where(principals.c.name > bindparam("after"))
    .order_by(principals.c.name)
    .limit(bindparam("limit"))
)
_MEMBERS = _WITH_ADDRESSES.join(memberships, memberships.c.member_id == principals.c.id).where(
    memberships.c.group_id == bindparam("group")
)
_MEMBERSHIPS_OF_GROUPS = select(memberships.c.group_id, memberships.c.member_id).where(
    memberships.c.group_id.in_(bindparam("ids", expanding=True))
)
_MEMBERSHIPS_OF_MEMBERS = select(memberships.c.member_id, memberships.c.group_id).where(
    memberships.c.member_id.in_(bindparam("ids", expanding=True))
)
_NAME = select(principals.c.id).where(principals.c.name == bindparam("name"))
_CREDENTIAL_COLUMNS = (
    principals.c.credentials_revision,
    principals.c.password_hash,
    app_passwords.c.id.label("app_id"),
    app_passwords.c.name.label("app_name"),
    app_passwords.c.hash.label("app_hash"),
    app_passwords.c.created.label("app_created"),
)
_CREDENTIALS = (
    select(principals.c.id, *_CREDENTIAL_COLUMNS)
    .select_from(principals.outerjoin(app_passwords, app_passwords.c.principal_id == principals.c.id))
    .where(principals.c.name == bindparam("name"))
    .order_by(app_passwords.c.id)
)
#: A row for each pair of an address and an app password: both are few.
_LOGIN = Direct(
    _BY_NAME.add_columns(*_CREDENTIAL_COLUMNS)
    .outerjoin(app_passwords, app_passwords.c.principal_id == principals.c.id)
    .order_by(app_passwords.c.id)
)
_REHASH = update(principals).where(
    principals.c.id == bindparam("principal"), principals.c.password_hash == bindparam("old")
)
# Which columns it sets follows from the parameters that it is run with.
_UPDATE = update(principals).where(principals.c.id == bindparam("principal"))
_MOVE_GENERATIONS = (
    update(principals)
    .where(principals.c.id.in_(bindparam("ids", expanding=True)))
    .values(generation=principals.c.generation + 1)
)
_KINDS = {kind.value: kind for kind in PrincipalKind}
_GROUPS = select(meta.c.value).where(meta.c.name == "groups")


class SqlPrincipals:
    """See :class:`storage.store.Principals`."""

    def __init__(self, transaction: SqlTransaction) -> None:
        self._tx = transaction

    def _read(self, statement: Select[Any], where: dict[str, object]) -> list[Principal]:
        return _principals(self._tx.execute(statement, where))

    def by_name(self, name: str) -> Principal | None:
        """See :class:`storage.store.Principals`."""
        return next(iter(self._read(_BY_NAME, {"name": name})), None) if storable(name) else None

    def by_names(self, names: Members[str]) -> Mapping[str, Principal]:
        """See :class:`storage.store.Principals`."""
        wanted = dict.fromkeys(name for name in names if storable(name))
        found = (one for batch in batches(wanted) for one in self._read(_BY_NAMES, {"names": batch}))
        return {principal.name: principal for principal in found}

    def by_id(self, principal_id: int) -> Principal | None:
        """See :class:`storage.store.Principals`."""
        return self.by_ids([principal_id]).get(principal_id)

    def by_ids(self, ids: Members[int]) -> Mapping[int, Principal]:
        """See :class:`storage.store.Principals`."""
        return {found.id: found for batch in batches(set(ids)) for found in self._read(_BY_IDS, {"ids": batch})}

    def by_addresses(self, uris: Members[str]) -> ByAddress:
        """See :class:`storage.store.Principals`."""
        found: dict[str, Principal] = {}
        wanted = dict.fromkeys(uri for uri in uris if storable(uri))
        for batch in batches(wanted):
            for principal in _principals(_HAVING_ADDRESSES.all(self._tx, {}, [key_hash(uri) for uri in batch])):
                found.update((one.uri, principal) for one in principal.addresses if one.uri in wanted)
        return found

    def search(
        self,
        *,
        text: str,
        fields: Members[Literal["name", "displayname", "address"]],
        match: MatchType,
        kinds: Members[PrincipalKind] = (),
        limit: int,
    ) -> Sequence[Principal]:
        """See :class:`storage.store.Principals`."""
        if not fields or not storable(text):
            return []
        by_address = select(addresses.c.principal_id).where(_like(addresses.c.uri_folded, text, match))
        matches = {
            "name": _like(principals.c.name_folded, text, match),
            "displayname": _like(principals.c.displayname_folded, text, match),
            "address": principals.c.id.in_(by_address),
        }
        ids = select(principals.c.id).where(or_(*(matches[field] for field in sorted(fields))))
        if kinds:
            ids = ids.where(principals.c.kind.in_(sorted(kind.value for kind in kinds)))
        page = self._tx.execute(ids.order_by(principals.c.name).limit(limit)).scalars().all()
        return self._in_order(page)

    def all(self, *, after: str = "", limit: int = 1000) -> Sequence[Principal]:
        """See :class:`storage.store.Principals`."""
        return self._in_order(self._tx.execute(_PAGE, {"after": after, "limit": limit}).scalars().all())

    def _in_order(self, ids: Sequence[int]) -> Sequence[Principal]:
        found = self.by_ids(ids)
        return [found[id_] for id_ in ids if id_ in found]

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
        """See :class:`storage.store.Principals`."""
        self._tx.writing()
        checked_name(name)
        if self._tx.execute(_NAME, {"name": name}).first() is not None:
            raise NameTaken(name)
        values = _values(displayname=displayname, timezone=timezone, language=language, admin=admin) | {
            "name": name,
            "name_folded": folded(name),
            "kind": kind.value,
            "generation": 0,
            "created": self._tx.now,
            "credentials_revision": randbits(62),
            "password_hash": None,
        }
        self._check_addresses(addresses, principal_id=0)
        principal_id = _key(self._tx.execute(insert(principals), values).inserted_primary_key)
        self._write_addresses(principal_id, addresses)
        home_id = self._add_home(principal_id, owner=name, quota=quota)
        found = self.by_id(principal_id)
        if found is None or found.home_id != home_id:
            raise NotFound(f"The principal {name!r} has gone.")
        return found

    def _add_home(self, principal_id: int, *, owner: str, quota: int | None) -> int:
        values = {
            "principal_id": principal_id,
            "owner": owner,
            "counter": 0,
            "generation": 0,
            "quota": quota,
            "used": 0,
        }
        home_id = _key(self._tx.execute(insert(homes), values).inserted_primary_key)
        home = Home(home_id, principal_id, owner, counter=0, generation=0, quota=quota, used=0)
        self._tx.collections.add_root(home)
        return home_id

    def _check_addresses(self, uris: Sequence[Address], *, principal_id: int) -> None:
        seen: set[str] = set()
        for address in uris:
            if checked_text(address.uri, "address") in seen:
                raise AddressTaken(address.uri)
            seen.add(address.uri)
        for batch in batches(sorted(seen)):
            for row in self._tx.execute(_BY_ADDRESSES, {"hashes": [key_hash(uri) for uri in batch]}):
                if row.principal_id != principal_id:
                    raise AddressTaken(row.uri)

    def _write_addresses(self, principal_id: int, uris: Sequence[Address]) -> None:
        rows = [
            {
                "principal_id": principal_id,
                "uri": address.uri,
                "uri_hash": key_hash(address.uri),
                "uri_folded": folded(address.uri),
                "preferred": address.preferred,
            }
            for address in uris
        ]
        if rows:
            self._tx.execute(insert(addresses), rows)

    def update(self, principal: Principal) -> None:
        """See :class:`storage.store.Principals`."""
        self._tx.writing()
        values = _values(
            displayname=principal.displayname,
            timezone=principal.timezone,
            language=principal.language,
            admin=principal.admin,
        )
        if self._tx.execute(_UPDATE, {**values, "principal": principal.id}).rowcount == 0:
            raise NotFound(f"There is no principal {principal.name!r}.")
        self._check_addresses(principal.addresses, principal_id=principal.id)
        self._tx.execute(delete(addresses).where(addresses.c.principal_id == principal.id))
        self._write_addresses(principal.id, principal.addresses)

    def remove(self, principal_id: int) -> None:
        """See :class:`storage.store.Principals`."""
        found = self.by_id(principal_id)
        if found is None:
            raise NotFound(f"There is no principal {principal_id}.")
        if found.home_id not in self._tx.held:
            self._tx.homes.lock([found.home_id])
        self.set_members(principal_id, ())
        for table in (principal_properties, collection_properties, object_properties):
            self._tx.execute(delete(table).where(table.c.principal_id == principal_id))
        self._tx.execute(delete(locks).where(locks.c.principal_id == principal_id))
        for collection in reversed(self._tx.collections.of_home(found.home_id)):
            self._tx.execute(delete(collections).where(collections.c.id == collection.id))
        del self._tx.held[found.home_id]
        # Addresses, passwords, memberships and ACEs go by cascade.
        self._tx.execute(delete(homes).where(homes.c.id == found.home_id))
        self._tx.execute(delete(principals).where(principals.c.id == principal_id))

    def members(self, group_id: int) -> Sequence[Principal]:
        """See :class:`storage.store.Principals`."""
        return self._read(_MEMBERS, {"group": group_id})

    def groups(self, principal_id: int, *, transitive: bool) -> Sequence[Principal]:
        """See :class:`storage.store.Principals`."""
        if transitive:
            ids = select(_upward(principal_id).c.id)
        else:
            ids = select(memberships.c.group_id).where(memberships.c.member_id == principal_id)
        return self._in_order_of_names(self._tx.execute(ids).scalars().all(), without=principal_id)

    def _in_order_of_names(self, ids: Sequence[int], *, without: int) -> Sequence[Principal]:
        found = self.by_ids(set(ids) - {without})
        return sorted(found.values(), key=attrgetter("name"))

    def members_of(self, group_ids: Members[int]) -> Mapping[int, Sequence[Principal]]:
        """See :class:`storage.store.Principals`."""
        return self._related(_MEMBERSHIPS_OF_GROUPS, group_ids)

    def groups_of(self, principal_ids: Members[int]) -> Mapping[int, Sequence[Principal]]:
        """See :class:`storage.store.Principals`."""
        return self._related(_MEMBERSHIPS_OF_MEMBERS, principal_ids)

    def _related(self, statement: Select[Any], ids: Members[int]) -> Mapping[int, Sequence[Principal]]:
        """Rows of (one of ``ids``, the id of a principal), as principals in the order of their names."""
        wanted = dict.fromkeys(ids)
        pairs = [tuple(row) for batch in batches(wanted) for row in self._tx.execute(statement, {"ids": batch})]
        found = self.by_ids({other for _, other in pairs})
        related: dict[int, list[Principal]] = {id_: [] for id_ in wanted}
        for id_, other in pairs:
            if other in found:
                related[id_].append(found[other])
        return {id_: sorted(several, key=lambda one: one.name) for id_, several in related.items()}

    def set_members(self, group_id: int, member_ids: Members[int]) -> None:
        """See :class:`storage.store.Principals`."""
        self._tx.writing()
        # A change of members reaches the rows of everybody below the group: two at once would soon wait for each other.
        self._tx.execute(self._tx.backend.locking(_GROUPS)).all()
        statement = select(memberships.c.member_id).where(memberships.c.group_id == group_id)
        before = set(self._tx.execute(statement).scalars())
        after = set(member_ids)
        affected = self._downward(before ^ after)
        if before - after:
            gone = memberships.c.member_id.in_(sorted(before - after))
            self._tx.execute(delete(memberships).where(memberships.c.group_id == group_id, gone))
        if after - before:
            rows = [{"group_id": group_id, "member_id": member} for member in sorted(after - before)]
            self._tx.execute(insert(memberships), rows)
        for batch in batches(sorted(affected)):
            self._tx.execute(_MOVE_GENERATIONS, {"ids": batch})

    def _downward(self, ids: set[int]) -> set[int]:
        """These principals and everybody in them, at any depth."""
        found: set[int] = set()
        for batch in batches(sorted(ids)):
            tree = select(principals.c.id).where(principals.c.id.in_(batch)).cte("tree", recursive=True)
            inner = select(memberships.c.member_id).join(tree, tree.c.id == memberships.c.group_id)
            found |= set(self._tx.execute(select(tree.union(inner).c.id)).scalars())
        return found

    def credentials(self, name: str) -> Credentials | None:
        """See :class:`storage.store.Principals`."""
        rows = self._tx.execute(_CREDENTIALS, {"name": name}).all() if storable(name) else []
        if not rows:
            return None
        return _credentials(rows)

    def for_login(self, name: str) -> tuple[Principal, Credentials] | None:
        """See :class:`storage.store.Principals`."""
        rows = _LOGIN.all(self._tx, {"name": name}) if storable(name) else []
        return (_principals(rows)[0], _credentials(rows)) if rows else None

    def set_password(self, principal_id: int, password_hash: str | None) -> None:
        """See :class:`storage.store.Principals`."""
        self._revise(principal_id, password_hash=password_hash)

    def rehash_password(self, principal_id: int, *, old: str, new: str) -> bool:
        """See :class:`storage.store.Principals`."""
        self._tx.writing()
        where = {"principal": principal_id, "old": old, "password_hash": new}
        return self._tx.execute(_REHASH, where).rowcount == 1

    def _revise(self, principal_id: int, **values: object) -> None:
        self._tx.writing()
        parameters = {"principal": principal_id, "credentials_revision": randbits(62), **values}
        if self._tx.execute(_UPDATE, parameters).rowcount == 0:
            raise NotFound(f"There is no principal {principal_id}.")

    def add_app_password(self, principal_id: int, *, name: str, password_hash: str) -> AppPassword:
        """See :class:`storage.store.Principals`."""
        self._revise(principal_id)
        checked_text(name, "name", length=255)
        taken = select(app_passwords.c.id).where(
            app_passwords.c.principal_id == principal_id, app_passwords.c.name == name
        )
        if self._tx.execute(taken).first() is not None:
            raise NameTaken(name)
        values = {"principal_id": principal_id, "name": name, "hash": password_hash, "created": self._tx.now}
        id_ = _key(self._tx.execute(insert(app_passwords), values).inserted_primary_key)
        return AppPassword(id_, name, password_hash, self._tx.now)

    def revoke_app_password(self, principal_id: int, name: str) -> bool:
        """See :class:`storage.store.Principals`."""
        self._tx.writing()
        where = (app_passwords.c.principal_id == principal_id, app_passwords.c.name == name)
        if self._tx.execute(delete(app_passwords).where(*where)).rowcount == 0:
            return False
        self._revise(principal_id)
        return True


def _upward(principal_id: int) -> CTE:
    """The groups of a principal at any depth; a group that contains itself ends the search, not the server."""
    direct = select(memberships.c.group_id.label("id")).where(memberships.c.member_id == principal_id)
    tree = direct.cte("tree", recursive=True)
    return tree.union(select(memberships.c.group_id).join(tree, tree.c.id == memberships.c.member_id))


def _like(column: ColumnElement[str], text: str, match: MatchType) -> ColumnElement[bool]:
    needle = folded(text)
    if match == "equals":
        return column == needle
    if match == "starts-with":
        return column.startswith(needle, autoescape=True)
    if match == "ends-with":
        return column.endswith(needle, autoescape=True)
    return column.contains(needle, autoescape=True)


def _principals(rows: Iterable[Row[Any]]) -> list[Principal]:
    """Principals out of rows that each have one of their addresses, or none."""
    found: dict[int, tuple[Row[Any], dict[str, Address]]] = {}
    for row in rows:
        _, its_addresses = found.setdefault(row.id, (row, {}))
        if row.uri is not None:
            its_addresses[row.uri] = Address(row.uri, preferred=row.preferred)
    return [_principal(row, tuple(its_addresses.values())) for row, its_addresses in found.values()]


def _credentials(rows: Sequence[Any]) -> Credentials:
    """Credentials out of rows that each have one of the app passwords, or none."""
    app_passwords = {
        row.app_id: AppPassword(row.app_id, row.app_name, row.app_hash, row.app_created)
        for row in rows
        if row.app_id is not None
    }
    return Credentials(
        principal_id=rows[0].id,
        revision=rows[0].credentials_revision,
        password_hash=rows[0].password_hash,
        app_passwords=tuple(app_passwords.values()),
    )


def _principal(row: Row[Any], its_addresses: tuple[Address, ...]) -> Principal:
    return Principal(
        id=row.id,
        name=row.name,
        kind=_KINDS[row.kind],
        displayname=row.displayname,
        timezone=row.timezone,
        language=row.language,
        admin=row.admin,
        home_id=row.home_id,
        generation=row.generation,
        created=row.created,
        addresses=its_addresses,
    )


def _values(*, displayname: str, timezone: str, language: str, admin: bool) -> dict[str, object]:
    return {
        "displayname": checked_text(displayname, "display name"),
        "displayname_folded": folded(displayname),
        "timezone": checked_text(timezone, "time zone", length=255),
        "language": checked_text(language, "language", length=255),
        "admin": admin,
    }


def _key(key: Any) -> int:
    return int(key[0])
