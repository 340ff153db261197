"""``caldavd room``: how rooms and resources answer when they are invited, who may book them, and what they offer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from caldavd.cli import room_hours, room_rules
from caldavd.cli.room_rules import BEYOND, DEFAULT, EVERYBODY, MOST_DAYS, MOST_PEOPLE, POLICIES, Said
from caldavd.cli.session import Failure, Session, all_principals, pass_session, principal_named, table
from config.settings import Rooms
from scheduling.rooms.bookings import ANSWERING
from storage.errors import UnstorableText
from storage.rows import Booking, Principal
from storage.store import Transaction


@click.group()
def room() -> None:
    """Rooms and resources: how they answer, who may book them, what they offer.

    They are made with `caldavd user add --kind room`, or `--kind resource`.
    """


def _position(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    try:
        return None if value is None else room_rules.position(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _hours(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else room_hours.checked(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@room.command("set")
@click.argument("names", metavar="ROOM...", nargs=-1, required=True)
@click.option("--policy", type=click.Choice(POLICIES), help="How it answers. automatic: accept if free, else decline.")
@click.option("--delegate", metavar="NAME", help='Who answers for it: a person or a group. "" for nobody.')
@click.option("--window", type=click.IntRange(0, MOST_DAYS), metavar="DAYS", help="How far ahead. 0: the default.")
@click.option("--beyond", type=click.Choice(BEYOND), help="What becomes of a booking that reaches further.")
@click.option("--capacity", type=click.IntRange(0, MOST_PEOPLE), help="How many people fit in. 0: not known.")
@click.option("--equipment", multiple=True, help='What is there; may be given again, all of it counts. "" for nothing.')
@click.option("--place", help="Where it is, in words.")
@click.option("--position", callback=_position, metavar="LAT,LON", help='Where it is, in degrees. "" for nowhere.')
@click.option(
    "--booked-by",
    multiple=True,
    metavar="NAME",
    help=f"A person or group who may book it; may be given again. {EVERYBODY}: everybody with an account.",
)
@click.option("--hours", callback=_hours, help='When it is open: "Mon-Fri 08:00-18:00; Sat 09:00-12:00". "": always.')
@pass_session
def set_(
    session: Session,
    names: tuple[str, ...],
    policy: str | None,
    delegate: str | None,
    window: int | None,
    beyond: str | None,
    capacity: int | None,
    equipment: tuple[str, ...],
    place: str | None,
    position: tuple[float, ...] | None,
    booked_by: tuple[str, ...],
    hours: str | None,
) -> None:
    """Say how a room or resource answers, or several of them. What is not named stays."""
    said = Said(
        policy=policy,
        delegate=delegate,
        window=window,
        beyond=beyond,
        capacity=capacity,
        equipment=tuple(filter(None, (" ".join(one.split()) for one in equipment))) if equipment else None,
        place=None if place is None else " ".join(place.split()),
        position=position,
        booked_by=booked_by or None,
        hours=hours,
    )
    if not said:
        raise click.UsageError("Say what is to be set. `caldavd room set --help` shows what there is.")

    def work(tx: Transaction) -> list[str]:
        found = [principal_named(tx, name) for name in dict.fromkeys(names)]
        tx.homes.lock([one.home_id for one in found])
        return [_told(one, room_rules.apply(tx, one, said)) for one in found]

    try:
        lines = session.write(work)
    except UnstorableText as error:
        raise Failure(str(error)) from error
    click.echo("\n".join(lines))


def _told(one: Principal, changes: Sequence[str]) -> str:
    return f"{one.name}: changed {', '.join(changes)}." if changes else f"{one.name}: so it was already."


@dataclass(frozen=True, slots=True)
class _Room:
    principal: Principal
    booking: Booking
    delegate: str
    bookers: Sequence[str]
    hours: str


def _rooms(tx: Transaction, names: Sequence[str] = ()) -> list[_Room]:
    everybody = [principal_named(tx, name) for name in names] if names else all_principals(tx)
    found = [one for one in everybody if one.kind in ANSWERING]
    said = tx.bookings.of([one.id for one in found])
    delegates = tx.principals.by_ids({one.delegate_id for one in said.values() if one.delegate_id is not None})
    bookers, hours = room_rules.bookers(tx, found), room_rules.hours_of(tx, found)
    out = []
    for one in found:
        booking = said.get(one.id) or Booking(principal_id=one.id)
        delegate = delegates.get(booking.delegate_id or 0)
        name = delegate.name if delegate is not None else ""
        out.append(_Room(one, booking, name, bookers[one.id], hours.get(one.id, "")))
    return out


@room.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON, an object a line, for programs.")
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """Show all rooms and resources."""
    found = session.read(_rooms)
    settings = session.settings.rooms
    if as_json:
        for one in found:
            click.echo(json.dumps(_as_json(one, settings), ensure_ascii=False))
        return
    rows = [
        (
            one.principal.name,
            one.principal.kind.value,
            _policy(one, settings),
            str(one.booking.window_days or settings.window_days),
            str(one.booking.capacity or ""),
            ", ".join(one.booking.equipment),
            one.booking.place,
        )
        for one in found
    ]
    head = ("NAME", "KIND", "POLICY", "DAYS AHEAD", "CAPACITY", "EQUIPMENT", "PLACE")
    click.echo(table(rows, head) if rows else "There are no rooms and no resources.")


def _policy(one: _Room, settings: Rooms) -> str:
    policy = str(one.booking.policy or settings.policy)
    return f"{policy}: {one.delegate or 'nobody'}" if policy == "delegate" else policy


def _as_json(one: _Room, settings: Rooms) -> dict[str, Any]:
    booking = one.booking
    return {
        "name": one.principal.name,
        "kind": one.principal.kind.value,
        "policy": booking.policy or settings.policy,
        "delegate": one.delegate or None,
        "window": booking.window_days or settings.window_days,
        "beyond": booking.beyond or settings.beyond,
        "capacity": booking.capacity,
        "equipment": list(booking.equipment),
        "place": booking.place,
        "position": None if booking.latitude is None else [booking.latitude, booking.longitude],
        "booked_by": list(one.bookers),
        "hours": one.hours,
    }


@room.command()
@click.argument("name")
@pass_session
def show(session: Session, name: str) -> None:
    """Show all that is set for a room, and what the settings say of the rest."""
    found = session.read(lambda tx: _rooms(tx, [name]))
    if not found:
        raise Failure(f"{name!r} is no room and no resource. `caldavd room list` shows which there are.")
    one, settings = found[0], session.settings.rooms
    booking = one.booking
    position = "" if booking.latitude is None else f"{booking.latitude}, {booking.longitude}"
    fits = "" if settings.check_capacity else " (not checked: [rooms] check_capacity)"
    lines = (
        ("policy", _or_default(booking.policy, settings.policy)),
        ("delegate", one.delegate),
        ("days ahead", _or_default(booking.window_days, settings.window_days)),
        ("beyond", _or_default(booking.beyond, settings.beyond)),
        ("capacity", f"{booking.capacity}{fits}" if booking.capacity else ""),
        ("equipment", ", ".join(booking.equipment)),
        ("place", booking.place),
        ("position", position),
        ("booked by", _bookers_shown(one.bookers)),
        ("hours", one.hours),
    )
    click.echo(f"{one.principal.name} ({one.principal.displayname})")
    for label, value in lines:
        click.echo(f"  {label:<11}{value or '-'}")


def _or_default(value: object, default: object) -> str:
    return f"{default} ({DEFAULT})" if value is None else str(value)


def _bookers_shown(names: Sequence[str]) -> str:
    if list(names) == [EVERYBODY]:
        return "everybody with an account"
    return " ".join(names) or "administrators only"
