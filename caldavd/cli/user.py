"""``caldavd user``: people, groups, rooms and resources, their passwords and their app passwords."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import available_timezones

import click

from caldavd import provision
from caldavd.auth.limits import user_key
from caldavd.auth.passwords import generate_password, hash_password, new_app_password
from caldavd.cli.accounts_file import KINDS
from caldavd.cli.freebusy_url import freebusy_url
from caldavd.cli.session import (
    Failure,
    Session,
    all_principals,
    confirm,
    pass_session,
    principal_named,
    read_password,
    table,
)
from storage.errors import AddressTaken, NameTaken
from storage.rows import Principal, PrincipalKind
from storage.store import Transaction

#: What the command line and the files of accounts call the kinds.
KIND_NAMES: Final = {kind: name for name, kind in KINDS.items()}


class ByteCount(click.ParamType[int]):
    """A number of bytes, as ``1048576`` or ``10M``."""

    name = "size"
    _UNITS: Final = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes."""
        if isinstance(value, int):
            return value
        text = str(value).strip().upper().removesuffix("IB").removesuffix("B").strip()
        number, unit = (text[:-1], text[-1]) if text[-1:] in self._UNITS and text[-1:] else (text, "")
        if not number.strip().isdigit():
            self.fail(f"{value!r} is no size: write a number of bytes, or one with K, M, G or T.", param, ctx)
        return int(number) * self._UNITS[unit]


def _mail_address(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(provision.address(text) for text in value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _zone(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value and value not in available_timezones():
        raise click.BadParameter(f"{value!r} is no time zone. It is a name such as Europe/Berlin.")
    return value


def _name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not provision.valid_name(value):
        raise click.BadParameter(f"{value!r} cannot be a name: it has to be {provision.NAME_RULE}.")
    return value


#: What may be said of anybody, when they are added and later.
_DESCRIPTION: Final = (
    click.option("--displayname", help="The name that people see."),
    click.option(
        "--email",
        "emails",
        multiple=True,
        callback=_mail_address,
        help="A mail address; may be given again, the first counts.",
    ),
    click.option("--timezone", callback=_zone, help="A time zone such as Europe/Berlin."),
    click.option("--language", help="A language such as de or en-GB."),
    click.option("--quota", type=ByteCount(), help="The most that the home may hold, such as 500M."),
)


def _described(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` with these options."""
    for option in reversed(_DESCRIPTION):
        command = option(command)
    return command


@click.group()
def user() -> None:
    """People, groups, rooms and resources, and their passwords."""


@user.command()
@click.argument("name", callback=_name)
@click.option("--kind", type=click.Choice(list(KINDS)), default="person", show_default=True)
@_described
@click.option("--admin", is_flag=True, help="Give all privileges everywhere.")
@click.option("--generate", is_flag=True, help="Draw a password and print it, once.")
@click.option("--no-password", is_flag=True, help="No password: the login is checked elsewhere, or there is none.")
@pass_session
def add(
    session: Session,
    name: str,
    kind: str,
    displayname: str | None,
    emails: tuple[str, ...],
    timezone: str | None,
    language: str | None,
    quota: int | None,
    admin: bool,
    generate: bool,
    no_password: bool,
) -> None:
    """Make an account with a calendar and a task list.

    The password is asked for, or read as one line from standard input. Groups, rooms and resources get none.
    """
    if session.read(lambda tx: tx.principals.by_name(name)):
        raise Failure(f"There is a user {name!r} already.")
    new = provision.NewPrincipal(
        name=name,
        kind=KINDS[kind],
        displayname=displayname or "",
        addresses=emails,
        timezone=timezone or "",
        language=language or "",
        admin=admin,
        quota=quota,
        schedules=session.settings.scheduling.enabled,
    )
    password = None
    if new.kind is PrincipalKind.INDIVIDUAL and not no_password:
        password = generate_password() if generate else read_password(f"Password for {name}")
    hashed = hash_password(password, cost=session.cost) if password else None

    def work(tx: Transaction) -> None:
        made = _created(tx, new, session)
        if hashed:
            tx.principals.set_password(made.id, hashed)

    session.write(work)
    click.echo(f"Added the {kind} {name}.")
    if generate and password:
        click.echo(f"Password, shown only now: {password}")


def _created(tx: Transaction, new: provision.NewPrincipal, session: Session) -> Principal:
    try:
        return provision.create(tx, new, session.settings.provisioning)
    except NameTaken as error:
        raise Failure(f"There is a user {new.name!r} already.") from error
    except AddressTaken as error:
        raise Failure(str(error)) from error


@user.command("set")
@click.argument("name")
@_described
@click.option("--default-quota", is_flag=True, help="Let the quota of the settings count again.")
@click.option("--admin/--no-admin", default=None, help="Give or take all privileges everywhere.")
@pass_session
def change(
    session: Session,
    name: str,
    displayname: str | None,
    emails: tuple[str, ...],
    timezone: str | None,
    language: str | None,
    quota: int | None,
    default_quota: bool,
    admin: bool | None,
) -> None:
    """Change what is known of somebody. What is not named stays; addresses are replaced as a whole.

    Meetings belong to whoever has the address that is in them: keep old addresses, behind the new one.
    """
    given: dict[str, Any] = {"displayname": displayname, "timezone": timezone, "language": language, "admin": admin}
    given["addresses"] = provision.addresses(emails) or None
    changes = {key: value for key, value in given.items() if value is not None}
    if not changes and quota is None and not default_quota:
        raise click.UsageError("Say what is to be set. `caldavd user set --help` shows what there is.")

    def work(tx: Transaction) -> list[str]:
        principal = principal_named(tx, name)
        if quota is not None or default_quota:
            tx.homes.lock([principal.home_id])
            tx.homes.set_quota(principal.home_id, quota)
        if changes:
            tx.principals.update(dataclasses.replace(principal, **changes))
        kept = {one.uri for one in given["addresses"] or principal.addresses}
        return [one.uri.removeprefix("mailto:") for one in principal.addresses if one.uri not in kept]

    gone = session.write(work)
    click.echo(f"Changed {name}.")
    if gone:
        every = " ".join(f"--email {one.removeprefix('mailto:')}" for one in dict.fromkeys((*emails, *gone)))
        click.echo(
            f"{', '.join(gone)}: no address of {name} any more. Meetings that were made with it are those of somebody "
            f"unknown: changes and answers reach nobody. To keep it as well: caldavd user set {name} {every}"
        )


@user.command()
@click.argument("name")
@click.option("--generate", is_flag=True, help="Draw a password and print it, once.")
@pass_session
def passwd(session: Session, name: str, generate: bool) -> None:
    """Set somebody's password anew.

    It is asked for, or read as one line from standard input. The old one stops at once. Logins that were refused
    because too many had failed are listened to again.
    """
    session.read(lambda tx: principal_named(tx, name))
    password = generate_password() if generate else read_password(f"New password for {name}")
    hashed = hash_password(password, cost=session.cost)

    def work(tx: Transaction) -> None:
        tx.principals.set_password(principal_named(tx, name).id, hashed)
        tx.logins.clear([user_key(name)])

    session.write(work)
    click.echo(f"Changed the password of {name}.")
    if generate:
        click.echo(f"Password, shown only now: {password}")


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON, an object a line, for programs.")
@click.option("--kind", type=click.Choice(list(KINDS)), help="Only these.")
@pass_session
def list_(session: Session, as_json: bool, kind: str | None) -> None:
    """Show who there is."""
    wanted = KINDS.get(kind or "")
    everybody = session.read(lambda tx: [one for one in all_principals(tx) if wanted in (None, one.kind)])
    if as_json:
        for one in everybody:
            click.echo(json.dumps(_as_json(one), ensure_ascii=False))
        return
    rows = [
        (one.name, KIND_NAMES[one.kind], "admin" if one.admin else "", one.displayname, _addresses_shown(one))
        for one in everybody
    ]
    click.echo(table(rows, ("NAME", "KIND", "", "DISPLAY NAME", "ADDRESSES")) if rows else "There is nobody yet.")


def _addresses_shown(one: Principal) -> str:
    ordered = sorted(one.addresses, key=lambda address: not address.preferred)
    return " ".join(address.uri.removeprefix("mailto:") for address in ordered)


def _as_json(one: Principal) -> dict[str, object]:
    return {
        "name": one.name,
        "kind": KIND_NAMES[one.kind],
        "admin": one.admin,
        "displayname": one.displayname,
        "timezone": one.timezone,
        "language": one.language,
        "addresses": [address.uri for address in sorted(one.addresses, key=lambda address: not address.preferred)],
    }


@user.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def remove(session: Session, name: str, yes: bool) -> None:
    """Remove somebody and all that is theirs.

    With the account go all calendars, memberships and rights. This cannot be undone. Nobody is told: meetings that they
    organize stay in the calendars of others and keep their rooms, unless they are deleted before.
    """
    principal = session.read(lambda tx: principal_named(tx, name))
    confirm(f"Remove {name} ({principal.displayname}) and all that is in the home?", agreed=yes)

    def work(tx: Transaction) -> None:
        found = principal_named(tx, name)
        tx.homes.lock([found.home_id])
        tx.principals.remove(found.id)

    session.write(work)
    click.echo(f"Removed {name}.")


@user.command()
@click.argument("group")
@click.option("--add", "added", multiple=True, metavar="NAME", help="Somebody who is to be a member.")
@click.option("--remove", "removed", multiple=True, metavar="NAME", help="Somebody who is not to be one any more.")
@pass_session
def members(session: Session, group: str, added: tuple[str, ...], removed: tuple[str, ...]) -> None:
    """Show, add or remove the members of a group. Groups may be members of groups."""

    def work(tx: Transaction) -> list[str]:
        found = principal_named(tx, group)
        if found.kind is not PrincipalKind.GROUP:
            raise Failure(f"{group!r} is no group but a {KIND_NAMES[found.kind]}.")
        current = {one.name: one.id for one in tx.principals.members(found.id)}
        wanted = dict(current)
        for name in removed:
            if wanted.pop(name, None) is None:
                raise Failure(f"{name!r} is no member of {group!r}.")
        wanted |= {name: principal_named(tx, name).id for name in added}
        if group in wanted:
            raise Failure(f"{group!r} cannot be a member of itself.")
        if wanted != current:
            tx.principals.set_members(found.id, list(wanted.values()))
        return sorted(wanted)

    names = session.write(work) if added or removed else session.read(work)
    click.echo("\n".join(names) if names else f"{group} has no members.")


@user.group("app-password")
def app_password() -> None:
    """Passwords for single programs or devices.

    Each has a name, and is revoked by itself.
    """


@app_password.command("add")
@click.argument("name")
@click.argument("label")
@pass_session
def add_app_password(session: Session, name: str, label: str) -> None:
    """Make an app password and print it, once.

    It is for the user NAME and is named LABEL, such as "phone".
    """
    password, hashed = new_app_password(cost=session.cost)

    def work(tx: Transaction) -> None:
        try:
            tx.principals.add_app_password(principal_named(tx, name).id, name=label, password_hash=hashed)
        except NameTaken as error:
            raise Failure(
                f"{name} has an app password {label!r} already: revoke it first, or take another name."
            ) from error

    session.write(work)
    click.echo(f"App password {label!r} of {name}, shown only now: {password}")


@app_password.command("list")
@click.argument("name")
@pass_session
def list_app_passwords(session: Session, name: str) -> None:
    """Show somebody's app passwords by name."""

    def work(tx: Transaction) -> list[tuple[str, str]]:
        principal_named(tx, name)
        credentials = tx.principals.credentials(name)
        return [(one.name, _day(one.created)) for one in credentials.app_passwords] if credentials else []

    rows = session.read(work)
    click.echo(table(rows, ("LABEL", "SINCE")) if rows else f"{name} has no app passwords.")


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


@app_password.command("revoke")
@click.argument("name")
@click.argument("label")
@pass_session
def revoke_app_password(session: Session, name: str, label: str) -> None:
    """Take an app password away. It stops at once."""
    if not session.write(lambda tx: tx.principals.revoke_app_password(principal_named(tx, name).id, label)):
        raise Failure(f"{name} has no app password {label!r}.")
    click.echo(f"Revoked the app password {label!r} of {name}.")


@user.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--generate-passwords", is_flag=True, help="Draw and print one for each new person who has none in the file."
)
@pass_session
def import_(session: Session, file: Path, dry_run: bool, generate_passwords: bool) -> None:
    """Bring accounts and rights to what FILE says.

    FILE is a .csv or .toml of people, groups, rooms, resources and rights. Can be run again: what is so already
    stays. Nobody is removed, and all of it happens or nothing. What the file looks like is in docs/configure.md.
    """
    from caldavd.cli.user_import import run  # noqa: PLC0415  (reads csv and tomllib only here)

    run(session, file, dry_run=dry_run, generate=generate_passwords)


@user.command("import-radicale")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be taken, and do nothing.")
@pass_session
def import_radicale(session: Session, folder: Path, dry_run: bool) -> None:
    """Take the calendars of a Radicale storage FOLDER.

    It is the one with collection-root in it. Can be run again: what is the same stays. Accounts are made where
    there are none, without passwords. Address books are not taken, and are named.
    """
    from caldavd.cli.import_radicale import run  # noqa: PLC0415  (only this command needs radicale)

    run(session, folder, dry_run=dry_run)


user.add_command(freebusy_url)
