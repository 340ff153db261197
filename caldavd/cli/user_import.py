"""``caldavd user import``: brings the directory to what a file says, in one transaction, and says what was changed.

Hashes cost time and need no database, so they are made before, several at once; a password that is already the one in
the database is found by checking it, and stays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import click

from caldavd import provision
from caldavd.auth.passwords import Cost, generate_password, hash_passwords, is_hash, verify
from caldavd.cli import room_rules
from caldavd.cli.accounts_file import EVERYBODY, Account, Accounts, Mistakes, Right, read
from caldavd.cli.session import Failure, Session, collection_at, progress
from storage.errors import AddressTaken, NameTaken
from storage.rows import Ace, Principal, PrincipalKind
from storage.store import Transaction


@dataclass(slots=True)
class Report:
    """What was done: lines for people, in the order of the file, and how many stayed as they were."""

    lines: list[str] = field(default_factory=list)
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    rights: int = 0


class _Rollback(Exception):
    """Ends a dry run: everything was tried, nothing is kept but the report."""

    def __init__(self, report: Report) -> None:
        super().__init__("dry run")
        self.report = report


def run(session: Session, file: Path, *, dry_run: bool, generate: bool) -> None:
    """Carries out the command. Raises ``Failure``."""
    try:
        accounts = read(file.read_bytes(), toml=file.suffix.lower() == ".toml")
    except Mistakes as mistakes:
        raise Failure("\n".join([f"{file} cannot be used, and nothing was changed:", *mistakes.lines])) from mistakes
    generated = _generated(session, accounts) if generate else {}
    hashes = _hashes(session, accounts, generated)

    def work(tx: Transaction) -> Report:
        report = _apply(tx, session, accounts, hashes)
        if dry_run:
            raise _Rollback(report)
        return report

    try:
        report = session.write(work)
    except _Rollback as rollback:
        report = rollback.report
        click.echo("A dry run: nothing was changed. Without --dry-run:")
    for line in report.lines:
        click.echo(line)
    click.echo(
        f"{report.added} added, {report.changed} changed, {report.unchanged} unchanged, {report.rights} new rights"
    )
    if not dry_run:
        for name, password in generated.items():
            click.echo(f"Password, shown only now: {name} {password}")


def _generated(session: Session, accounts: Accounts) -> dict[str, str]:
    """A password for each person who is new and has none in the file."""
    there = session.read(lambda tx: {one.name for one in accounts.accounts if tx.principals.by_name(one.name)})
    return {
        one.name: generate_password()
        for one in accounts.accounts
        if one.name not in there and not one.password and not one.hash and one.kind in (None, PrincipalKind.INDIVIDUAL)
    }


def _hashes(session: Session, accounts: Accounts, generated: Mapping[str, str]) -> dict[str, str]:
    """The hash to be stored for each name whose password is not the stored one already."""
    wanted = {one.name: one.hash for one in accounts.accounts if one.hash}
    passwords = {one.name: one.password for one in accounts.accounts if one.password} | dict(generated)
    names = [*wanted, *passwords]

    def stored(tx: Transaction) -> dict[str, str]:
        found = {name: tx.principals.credentials(name) for name in names}
        return {name: row.password_hash for name, row in found.items() if row and row.password_hash}

    kept = session.read(stored)
    with ThreadPoolExecutor(thread_name_prefix="verify") as pool:
        known = [name for name in passwords if name in kept and is_hash(kept[name])]
        same = {
            name
            for name, right in zip(
                known, pool.map(lambda name: verify(kept[name], passwords[name]), known), strict=True
            )
            if right
        }
    to_hash = [name for name in passwords if name not in same]
    new = {name: value for name, value in wanted.items() if kept.get(name) != value}
    with progress(list(zip(to_hash, _hashed(passwords, to_hash, session.cost), strict=True)), "Passwords") as pairs:
        return new | dict(pairs)


def _hashed(passwords: Mapping[str, str], names: Sequence[str], cost: Cost) -> Iterator[str]:
    return hash_passwords([passwords[name] for name in names], cost=cost)


def _apply(tx: Transaction, session: Session, accounts: Accounts, hashes: Mapping[str, str]) -> Report:
    """Everything, in one transaction: homes first, then principals, members, rooms, rights."""
    report = Report()
    owners = {one.name for one in accounts.accounts} | {right.owner for right in accounts.rights}
    tx.homes.lock_of(owners)
    news: dict[str, list[str]] = {}
    for account in accounts.accounts:
        news[account.name] = _principal(tx, session, account, hashes)
    for account in accounts.accounts:
        if account.members is not None and _members(tx, account):
            news[account.name].append("members")
    for account in accounts.accounts:
        if account.room:
            news[account.name] += _room(tx, account)
    for name, changes in news.items():
        if "added" in changes:
            report.added += 1
            report.lines.append(f"{name}: added")
        elif changes:
            report.changed += 1
            report.lines.append(f"{name}: changed {', '.join(changes)}")
        else:
            report.unchanged += 1
    for right in accounts.rights:
        if _right(tx, right):
            report.rights += 1
            report.lines.append(f"{'/'.join((right.owner, *right.path))}: new right for {right.who}")
    return report


def _principal(tx: Transaction, session: Session, account: Account, hashes: Mapping[str, str]) -> list[str]:
    """Makes or changes one principal; returns what was changed, in words."""
    try:
        principal = tx.principals.by_name(account.name)
        if principal is None:
            new = _new(account, schedules=session.settings.scheduling.enabled)
            changes, principal = ["added"], provision.create(tx, new, session.settings.provisioning)
        else:
            changes = _update(tx, principal, account)
    except NameTaken as error:
        raise Failure(f"{account.place}: {error} Nothing was changed.") from error
    except AddressTaken as error:
        raise Failure(f"{account.place}: {error} Nothing was changed.") from error
    if account.name in hashes:
        tx.principals.set_password(principal.id, hashes[account.name])
        changes.append("password")
    return changes


def _new(account: Account, *, schedules: bool) -> provision.NewPrincipal:
    return provision.NewPrincipal(
        name=account.name,
        kind=account.kind or PrincipalKind.INDIVIDUAL,
        displayname=account.displayname or "",
        addresses=account.addresses or (),
        timezone=account.timezone or "",
        language=account.language or "",
        admin=bool(account.admin),
        quota=account.quota or None,
        schedules=schedules,
    )


def _update(tx: Transaction, principal: Principal, account: Account) -> list[str]:
    if account.kind is not None and account.kind is not principal.kind:
        raise Failure(
            f"{account.place}: {account.name!r} is there as another kind ({principal.kind.value}), "
            "which cannot be changed. Nothing was changed."
        )
    said = {
        "displayname": account.displayname,
        "timezone": account.timezone,
        "language": account.language,
        "admin": account.admin,
        "addresses": None if account.addresses is None else provision.addresses(account.addresses),
    }
    differing = {key: value for key, value in said.items() if value is not None and not _same(principal, key, value)}
    if differing:
        tx.principals.update(dataclasses.replace(principal, **differing))  # type: ignore[arg-type]
    changes = list(differing)
    if account.quota is not None:
        quota = account.quota or None
        if tx.homes.get(principal.home_id).quota != quota:
            tx.homes.set_quota(principal.home_id, quota)
            changes.append("quota")
    return changes


def _same(principal: Principal, key: str, value: object) -> bool:
    kept = getattr(principal, key)
    if key == "addresses":
        assert isinstance(value, tuple)
        return {(one.uri, one.preferred) for one in kept} == {(one.uri, one.preferred) for one in value}
    return bool(kept == value)


def _members(tx: Transaction, account: Account) -> bool:
    """Sets the members of a group; returns whether they were others before."""
    group = tx.principals.by_name(account.name)
    assert group is not None
    wanted = set()
    for name in account.members or ():
        member = tx.principals.by_name(name)
        if member is None:
            raise Failure(f"{account.place}: there is no {name!r} to be a member. Nothing was changed.")
        wanted.add(member.id)
    if wanted == {member.id for member in tx.principals.members(group.id)}:
        return False
    tx.principals.set_members(group.id, sorted(wanted))
    return True


def _room(tx: Transaction, account: Account) -> list[str]:
    """Sets how a room answers and what it offers; returns what was changed, in words."""
    room = tx.principals.by_name(account.name)
    assert room is not None
    try:
        return room_rules.apply(tx, room, account.room)
    except Failure as error:
        raise Failure(f"{account.place}: {error.message} Nothing was changed.") from error


def _right(tx: Transaction, right: Right) -> bool:
    """Adds an ACE behind those that are there, if it is not among them."""
    collection = collection_at(tx, "/".join((right.owner, *right.path)))
    ace = _ace(tx, right)
    current = tuple(tx.acls.of([collection.id]).get(collection.id, ()))
    if ace in current:
        return False
    tx.acls.set(collection, (*current, ace))
    return True


def _ace(tx: Transaction, right: Right) -> Ace:
    if right.who in EVERYBODY:
        return Ace(EVERYBODY[right.who], grant=True, privileges=right.privileges)
    principal = tx.principals.by_name(right.who)
    if principal is None:
        raise Failure(f"A right on {right.owner!r} is for {right.who!r}, who is not there. Nothing was changed.")
    return Ace("principal", grant=True, privileges=right.privileges, principal_id=principal.id)
