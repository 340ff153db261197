"""``caldavd find-time``: when people could meet, the best times first, with reasons; for people or as JSON."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from caldavd.access import Access
from caldavd.cli.session import Failure, Session, pass_session, principal_named
from caldavd.finding import finder_of, readable
from scheduling.finding.finder import Answer, Question
from scheduling.finding.guests import looked_up
from scheduling.finding.slots import NotAWish, Place, Suggestion
from scheduling.freebusy.diaries import zone_of_principal
from scheduling.freebusy.index_open import free_busy_of
from scheduling.ical.lines import ICalendarError
from scheduling.ical.timezones import UTC as UTC_ZONE, Zone, named
from scheduling.ical.values import DAY, duration, wall
from storage.rows import Principal
from storage.store import Transaction

_AUTO: Final = "auto"
_HOW_LONG: Final = re.compile(r"(?:(\d{1,3})h)?(?:(\d{1,5})m?)?", re.ASCII | re.IGNORECASE)
_WEEK_DAYS: Final = 7


@click.command("find-time")
@click.option("--with", "required", metavar="WHO", multiple=True, help="Who has to come; may be given again.")
@click.option("--optional", metavar="WHO", multiple=True, help="Who may be missing; may be given again.")
@click.option("--duration", "length", required=True, metavar="TIME", help="How long: 30m, 1h, 1h30m or PT30M.")
@click.option("--from", "begin", metavar="WHEN", help="Where to begin: 2026-03-02 or 2026-03-02T09:00. Else now.")
@click.option("--to", "finish", metavar="WHEN", help="Up to when; a date is meant with its day. Else a week later.")
@click.option("--room", "rooms", metavar="auto|ROOM", multiple=True, help="A room that fits, or one of these.")
@click.option("--need-room", is_flag=True, help="With --room auto: no time without a room.")
@click.option("--capacity", type=click.IntRange(min=1), help="How many the room has to hold. Else those who come.")
@click.option("--equipment", metavar="NAME", multiple=True, help="What the room has to have; may be given again.")
@click.option("--place", default="", help="Where it is without a room: a name in [find_time] travel_minutes.")
@click.option("--step", metavar="TIME", help="Begin at multiples of this, on the clock.")
@click.option("--count", type=click.IntRange(min=1), help="How many times to show.")
@click.option("--masked", metavar="UID", help="Leave out the meeting with this UID: it is the one to be moved.")
@click.option("--organizer", metavar="WHO", help="Who asks: has to come as well, and is told what they may know.")
@click.option(
    "--timezone", metavar="ZONE", help="Of the times here. Else that of the organizer, or of who comes first."
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@pass_session
def find_time(session: Session, /, *, as_json: bool, organizer: str | None, **asked: Any) -> None:
    """Find the best times for a meeting.

    WHO and ROOM are user names or mail addresses; a group stands for who is in it. Exit status 1 where there is no time
    at all. Weights, working hours and ways between places are in [find_time] of the settings.
    """
    settings = session.settings
    try:
        finder, freebusy = finder_of(settings.find_time, settings.rooms), free_busy_of(settings.freebusy)
    except ValueError as error:
        raise Failure(str(error)) from error

    def work(tx: Transaction) -> Answer:
        _check_names(tx, (*asked["required"], *asked["optional"]))
        asker = principal_named(tx, organizer) if organizer else None
        question = _question(tx, asker, **asked)
        access = Access(tx, asker, epoch=session.store.epoch) if asker is not None else None
        may_read = readable(tx, access) if access is not None else frozenset
        try:
            return finder.find(tx, freebusy, question, asker=asker, readable=may_read, epoch=session.store.epoch)
        except NotAWish as error:
            raise Failure(str(error)) from error

    answer = session.read(work)
    click.echo(json.dumps(_as_json(answer), ensure_ascii=False, indent=2) if as_json else _as_text(answer))
    if not answer.suggestions:
        raise SystemExit(1)


def _check_names(tx: Transaction, people: tuple[str, ...]) -> None:
    """An address may be one of somebody elsewhere; a name that nobody has is a mistake, and no time would fit it."""
    known = looked_up(tx, people)
    for text in people:
        if text not in known and "@" not in text and ":" not in text:
            principal_named(tx, text)


def _question(
    tx: Transaction,
    asker: Principal | None,
    *,
    required: tuple[str, ...],
    optional: tuple[str, ...],
    length: str,
    begin: str | None,
    finish: str | None,
    rooms: tuple[str, ...],
    need_room: bool,
    capacity: int | None,
    equipment: tuple[str, ...],
    place: str,
    step: str | None,
    count: int | None,
    masked: str | None,
    timezone: str | None,
) -> Question:
    zone = _zone(tx, timezone, asker, (*required, *optional))
    start = _instant(begin, zone, hint="--from") if begin else tx.now
    end = _instant(finish, zone, hint="--to", whole_day=True) if finish else start + _WEEK_DAYS * DAY
    if asker is not None and asker.name not in optional:
        required = (asker.name, *required)
    if _AUTO in rooms and len(rooms) > 1:
        raise click.BadParameter("give auto, or the names of rooms", param_hint="--room")
    wants_room = rooms or capacity is not None or equipment or need_room
    return Question(
        start=start,
        end=end,
        duration=_seconds(length, hint="--duration"),
        required=required,
        optional=optional,
        rooms=(() if _AUTO in rooms or not rooms else rooms) if wants_room else None,
        needs_room=need_room or bool(rooms and _AUTO not in rooms),
        people=capacity,
        equipment=frozenset(equipment),
        place=Place(place),
        step=None if step is None else _seconds(step, hint="--step"),
        count=count,
        masked=masked,
        zone=zone,
    )


def _zone(tx: Transaction, name: str | None, asker: Principal | None, people: tuple[str, ...]) -> Zone:
    """The zone of the times on the command line and in the answer."""
    if name is not None:
        found = named(name)
        if found is None:
            raise click.BadParameter(f"{name!r} is no time zone such as Europe/Berlin.", param_hint="--timezone")
        return found
    known = looked_up(tx, people)
    in_order = [asker, *(known[text] for text in people if text in known)]
    first = next((one for one in in_order if one is not None and one.timezone), None)
    return zone_of_principal(first) if first is not None else UTC_ZONE


def _seconds(text: str, *, hint: str) -> int:
    match = _HOW_LONG.fullmatch(text.strip())
    if match is not None and any(match.groups()):
        return int(match[1] or 0) * 3600 + int(match[2] or 0) * 60
    try:
        return duration(text).total
    except ICalendarError:
        message = f"{text!r} is no length of time such as 30m, 1h, 1h30m or PT30M."
        raise click.BadParameter(message, param_hint=hint) from None


def _instant(text: str, zone: Zone, *, hint: str, whole_day: bool = False) -> int:
    """The instant that a date or a date with a time means there; ``whole_day``: of a date, the end of it."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no time such as 2026-03-02, 2026-03-02T09:00 or 2026-03-02T09:00+01:00."
        raise click.BadParameter(message, param_hint=hint) from None
    if whole_day and len(text) <= len("2026-03-02") and "T" not in text:
        found += timedelta(days=1)
    if found.tzinfo is not None:
        return int(found.timestamp())
    return zone.to_instant(int(found.replace(tzinfo=UTC).timestamp()))


# --- the answer ------------------------------------------------------------------------------------------------------


def _as_text(answer: Answer) -> str:
    lines: list[str] = []
    for one in answer.suggestions:
        lines += _lines(one, answer)
    if answer.alternatives:
        within = " within everybody's working hours" if answer.suggestions else ""
        lines += [f"There is no time for all{within}. What comes nearest:"]
        for one in answer.alternatives:
            lines += _lines(one, answer)
    if not lines:
        lines.append("There is no time for this meeting, and none that comes near.")
    lines += [f"{_shown(address)}: {why}" for address, why in answer.unknown.items()]
    return "\n".join(lines)


def _lines(one: Suggestion, answer: Answer) -> list[str]:
    begin, end = wall(answer.zone.to_local(one.start)), wall(answer.zone.to_local(one.end))
    until = f"{end:%H:%M}" if begin.date() == end.date() else f"{end:%a %Y-%m-%d %H:%M}"
    rooms = "".join(f", or {_shown(room.name)}" for room in one.rooms[1:])
    where = f"  {_shown(one.rooms[0].name)}{rooms}" if one.rooms else ""
    head = f"{begin:%a %Y-%m-%d %H:%M}-{until} {answer.zone.name}  {one.score:.2f}{where}"
    return [head, *(f"    {_shown(why)}" for why in one.reasons)]


def _shown(text: str) -> str:
    """One line that a terminal only shows."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _as_json(answer: Answer) -> dict[str, Any]:
    return {
        "timezone": answer.zone.name,
        "suggestions": [_slot(one, answer) for one in answer.suggestions],
        "alternatives": [_slot(one, answer) for one in answer.alternatives],
        "unknown": dict(answer.unknown),
    }


def _slot(one: Suggestion, answer: Answer) -> dict[str, Any]:
    found = one.candidate

    def names(attendees: Any) -> list[str]:
        return [answer.people[who].name for who in attendees]

    return {
        "start": _iso(one.start, answer.zone),
        "end": _iso(one.end, answer.zone),
        "score": one.score,
        "reasons": list(one.reasons),
        "rooms": [answer.rooms[room].name for room in one.rooms],
        "busy": names(found.busy),
        "absent": names(found.absent),
        "tentative": names(found.tentative),
        "outside_hours": names(found.outside),
    }


def _iso(instant: int, zone: Zone) -> str:
    """RFC 3339, with the offset there."""
    local = zone.to_local(instant)
    minutes = (local - instant) // 60
    return f"{wall(local):%Y-%m-%dT%H:%M:%S}{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
