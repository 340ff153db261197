"""A file of accounts, CSV or TOML, as values: people, groups with members, rooms, resources, and rights.

Pure: a text goes in, ``Accounts`` or a list of mistakes comes out. What is done with them is in ``user_import``;
what a file looks like is told in docs/configure.md.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import available_timezones

from caldavd import provision
from caldavd.auth.passwords import is_hash
from caldavd.cli import room_rules
from caldavd.privileges import NAMES
from caldavd.xml.names import caldav, dav
from storage.rows import AceWho, PrincipalKind

#: The keys of an account. All but ``name`` may be left out; what is left out stays as it is.
KEYS: Final = (
    "name", "kind", "displayname", "email", "password", "hash", "timezone", "language", "admin", "quota", "members",
    "rights", *room_rules.KEYS,
)  # fmt: skip
#: The tables of a TOML file and the kinds in a CSV file.
KINDS: Final = {
    "person": PrincipalKind.INDIVIDUAL,
    "group": PrincipalKind.GROUP,
    "room": PrincipalKind.ROOM,
    "resource": PrincipalKind.RESOURCE,
}
#: Who a right may be for, beside a name.
EVERYBODY: Final[Mapping[str, AceWho]] = {"@all": "all", "@authenticated": "authenticated"}
#: Privileges by the names that RFC 3744 section 3 and RFC 4791 section 6.1 and RFC 6638 section 6 give them.
PRIVILEGES: Final = {name.rpartition("}")[2]: name for name in sorted(NAMES) if name.startswith((dav(""), caldav("")))}

_QUOTA = re.compile(r"(\d+)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Right:
    """An ACE that is to be: in whose home, on which collection (``()``: the home), for whom, what (Clark names)."""

    owner: str
    path: tuple[str, ...]
    who: str
    privileges: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the file says of one principal; ``None`` where it says nothing. ``quota`` in bytes, 0 for the default."""

    place: str
    name: str
    kind: PrincipalKind | None = None
    displayname: str | None = None
    addresses: tuple[str, ...] | None = None
    password: str | None = None
    hash: str | None = None
    timezone: str | None = None
    language: str | None = None
    admin: bool | None = None
    quota: int | None = None
    members: tuple[str, ...] | None = None
    room: room_rules.Said = field(default_factory=room_rules.Said)


@dataclass(frozen=True, slots=True)
class Accounts:
    """All that a file says."""

    accounts: tuple[Account, ...]
    rights: tuple[Right, ...]


class Mistakes(Exception):
    """The file cannot be used; ``lines`` say where and why, one sentence each."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


@dataclass(slots=True)
class _Reader:
    """Collects what is right and what is wrong."""

    accounts: list[Account] = field(default_factory=list)
    rights: list[Right] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)

    def account(self, place: str, raw: Mapping[str, object]) -> None:
        """Takes one account, or notes what is wrong with it."""
        unknown = [key for key in raw if key not in KEYS]
        if unknown:
            self.mistakes.append(f"{place}: {unknown[0]!r} is not known here; there are {', '.join(KEYS)}")
            return
        try:
            account = _account(place, raw)
            rights = list(_rights_of(account.name, _words(raw.get("rights"), separators=r"[\s;]+")))
        except ValueError as error:
            self.mistakes.append(f"{place}: {error}")
            return
        if account.name in self.places:
            self.mistakes.append(f"{place}: {account.name!r} is in {self.places[account.name]} already")
            return
        self.places[account.name] = place
        self.accounts.append(account)
        self.rights += rights

    def done(self) -> Accounts:
        """Everything, or ``Mistakes``."""
        if self.mistakes:
            raise Mistakes(self.mistakes)
        return Accounts(tuple(self.accounts), tuple(self.rights))


def read(data: bytes, *, toml: bool) -> Accounts:
    """Reads a file of accounts.

    Raises:
        Mistakes: it cannot be read, or something in it cannot be.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Mistakes([f"This is not UTF-8: byte {error.start + 1}."]) from error
    return _read_toml(text) if toml else _read_csv(text)


def _read_csv(text: str) -> Accounts:
    """A head with names of ``KEYS``, then an account a line. Separated by commas, or by semicolons if the head is."""
    head = text.partition("\n")[0]
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=";" if ";" in head and "," not in head else ",", strict=True
    )
    reader = _Reader()
    try:
        columns = [cell.strip().lower() for cell in next(rows, [])]
        if "name" not in columns:
            raise Mistakes([f"line 1: the first line has to name the columns, {', '.join(KEYS)}: at least name"])
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            place = f"line {rows.line_num}"
            if len(row) > len(columns):
                reader.mistakes.append(f"{place}: there are {len(row)} cells below {len(columns)} columns")
                continue
            reader.account(place, {key: cell.strip() for key, cell in zip(columns, row, strict=False) if cell.strip()})
    except csv.Error as error:
        raise Mistakes([f"line {rows.line_num}: this is no CSV: {error}"]) from error
    return reader.done()


def _read_toml(text: str) -> Accounts:
    """``[[person]]``, ``[[group]]``, ``[[room]]``, ``[[resource]]`` with ``KEYS``, and ``[[right]]``."""
    try:
        tree: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Mistakes([f"This is no TOML: {error}"]) from error
    reader = _Reader()
    for table, entries in tree.items():
        if table not in (*KINDS, "right") or not isinstance(entries, list):
            reader.mistakes.append(f"[[{table}]] is not known here; there are [[{']], [['.join((*KINDS, 'right'))}]]")
            continue
        for number, entry in enumerate(entries, 1):
            place = f"[[{table}]] number {number}"
            if not isinstance(entry, dict):
                reader.mistakes.append(f"{place}: this has to be a table of its own, with [[{table}]] above it")
            elif table == "right":
                try:
                    reader.rights.extend(_right_table(entry))
                except ValueError as error:
                    reader.mistakes.append(f"{place}: {error}")
            else:
                reader.account(place, entry | {"kind": table})
    return reader.done()


def _account(place: str, raw: Mapping[str, object]) -> Account:
    name = str(raw.get("name", ""))
    if not provision.valid_name(name):
        raise ValueError(f"name = {name!r}: a name has to be {provision.NAME_RULE}")
    kind_name = str(raw.get("kind", "")).lower()
    if kind_name and kind_name not in KINDS:
        raise ValueError(f"kind = {kind_name!r}: there are {', '.join(KINDS)}")
    kind = KINDS.get(kind_name)
    zone = _text(raw, "timezone")
    if zone and zone not in available_timezones():
        raise ValueError(f"timezone = {zone!r}: this is no time zone; it is a name such as Europe/Berlin")
    password, hashed = _text(raw, "password"), _text(raw, "hash")
    if hashed and not is_hash(hashed):
        raise ValueError("hash: this is no argon2 hash ($argon2id$…), the only kind that is kept")
    if hashed and password:
        raise ValueError("there is a password and a hash: give one of them")
    members = _words(raw.get("members")) if "members" in raw else None
    if members is not None and kind is not PrincipalKind.GROUP:
        raise ValueError("only a group has members")
    room = room_rules.read(raw)
    if room and kind not in (PrincipalKind.ROOM, PrincipalKind.RESOURCE):
        raise ValueError(f"only a room and a resource have {', '.join(room_rules.KEYS)}")
    return Account(
        place=place,
        name=name,
        kind=kind,
        displayname=_text(raw, "displayname"),
        addresses=tuple(map(provision.address, _words(raw["email"]))) if "email" in raw else None,
        password=password,
        hash=hashed,
        timezone=zone,
        language=_text(raw, "language"),
        admin=_truth(raw["admin"]) if "admin" in raw else None,
        quota=_bytes(raw["quota"]) if "quota" in raw else None,
        members=members,
        room=room,
    )


def _text(raw: Mapping[str, object], key: str) -> str | None:
    value = raw.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{key} = {value!r}: this has to be a text, in quotes")
    return value


def _words(value: object, *, separators: str = r"[\s;,]+") -> tuple[str, ...]:
    """A list, or words in one text."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(word for word in re.split(separators, value) if word)
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise ValueError(f"{value!r}: this has to be a list of texts")


def _truth(value: object) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    found = known.get(str(value).lower())
    if found is None:
        raise ValueError(f"admin = {value!r}: say true or false")
    return found


def _bytes(value: object) -> int:
    match = _QUOTA.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"quota = {value!r}: write a number of bytes, or one with K, M, G or T")
    power = " KMGT".index(match[2].upper() or " ")
    return int(match[1]) * int(1024**power)


def _rights_of(owner: str, words: Iterable[str]) -> Iterator[Right]:
    """``COLLECTION:WHO:PRIVILEGE+PRIVILEGE`` below the owner's home; an empty collection is the home itself."""
    for word in words:
        parts = word.split(":")
        if len(parts) != 3:
            raise ValueError(
                f"rights = {word!r}: write COLLECTION:WHO:PRIVILEGE+PRIVILEGE, for example calendar:bob:read"
            )
        yield Right(owner, _path(parts[0]), parts[1], _privileges(parts[2].split("+")))


def _right_table(raw: Mapping[str, object]) -> Iterator[Right]:
    """``on = "alice/calendar"``, ``who = ["bob"]``, ``privileges = ["read"]``."""
    unknown = set(raw) - {"on", "who", "privileges"}
    if unknown or len(raw) != 3:
        raise ValueError(f"a right has on, who and privileges, and nothing else: {sorted(unknown) or sorted(raw)}")
    owner, *path = _path(str(raw["on"]))
    privileges = _privileges(_words(raw["privileges"]))
    for who in _words(raw["who"]):
        yield Right(owner, tuple(path), who, privileges)


def _path(text: str) -> tuple[str, ...]:
    return tuple(segment for segment in text.split("/") if segment)


def _privileges(names: Iterable[str]) -> tuple[str, ...]:
    listed = tuple(names)
    for name in listed:
        if name not in PRIVILEGES:
            raise ValueError(f"there is no privilege {name!r}; there are {', '.join(sorted(PRIVILEGES))}")
    if not listed:
        raise ValueError("a right without a privilege is none")
    return tuple(PRIVILEGES[name] for name in listed)
