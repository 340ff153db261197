"""Which of the possible times is the best one: considerations with weights, each with its reason in words.

Owns the default ranker. A consideration looks at one candidate and says how good it is in its respect, from 0 to 1, and
why; or None where it has nothing to say (no history, no rooms, all in one zone). The score is their weighted mean. To
rank otherwise, hand another function with the arguments of ``rank`` to ``find_time`` (``named_ranker`` finds the one
that the settings name).

What is said may be read by whoever asks, who may know of the others only when they are busy: no title and no place of a
meeting is ever part of a reason, and what somebody likes is said with their name only where they are ``told`` of.
"""

from __future__ import annotations

from bisect import bisect_right
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from scheduling.finding.slots import Ranking, local
from scheduling.ical.values import DAY, wall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scheduling.finding.slots import Attendee, Candidate, Ranker, Settings, Wish

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: Between these hours of the day on the wall a meeting is no burden; at so many seconds from them it is a full one.
_COMFORTABLE: Final = (9 * 3600, 17 * 3600)
_FULL_BURDEN: Final = 6 * 3600
#: A history weighs as much as what is thought without one when it has so many answers.
_PRIOR: Final = 4.0
_STATED: Final = 0.9
_GOOD: Final = 0.6
_BAD: Final = 0.35
#: So many people are named in a reason.
_NAMED: Final = 3
#: What the score knows of somebody who is not told of: they like it, they do not, or nothing in particular.
_COARSELY: Final = (0.7, 0.5, 0.3)


class Mark(NamedTuple):
    """How good a candidate is in one respect, and why; no words where it is not worth a word."""

    value: float
    why: str = ""


def rank(candidate: Candidate, wish: Wish, settings: Settings) -> Ranking:
    """Score and reasons of a candidate."""
    total = weight_of_all = 0.0
    said: list[tuple[float, str]] = []
    for name, consider in CONSIDERATIONS.items():
        weight = getattr(settings.weights, name)
        mark = consider(candidate, wish, settings) if weight > 0 else None
        if mark is not None:
            total += weight * mark.value
            weight_of_all += weight
            if mark.why:
                said.append((weight * abs(mark.value - 0.5), mark.why))
    said.sort(key=lambda one: -one[0])
    return Ranking(round(total / weight_of_all, 4) if weight_of_all else 1.0, tuple(why for _, why in said))


def named_ranker(name: str) -> Ranker:
    """The function that ``module:function`` names. Raises ValueError with a sentence where there is none."""
    module, _, function = name.partition(":")
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"The ranker {name!r} cannot be had: {error}.") from error
    if callable(found):
        return cast("Ranker", found)
    raise ValueError(f"The ranker {name!r} is no function.")


# --- learned from history --------------------------------------------------------------------------------------------


def liking(attendee: Attendee, instant: int) -> float | None:
    """How likely somebody is to accept a meeting at ``instant``, by weekday and half of the day; None: no idea.

    What was answered on such mornings (or afternoons) counts against what was answered on all mornings, and that
    against what was stated: the fewer the answers, the less they say. Of who is not told of it is one of three values.
    """
    if not attendee.history and attendee.prefers is None:
        return None
    half_day = attendee.half_day(instant)
    if half_day not in attendee.liked:
        value = _liking(attendee, *half_day)
        good, so_so, bad = _COARSELY
        coarse = good if value >= _GOOD else bad if value < _BAD else so_so
        attendee.liked[half_day] = value if attendee.told else coarse
    return attendee.liked[half_day]


def _liking(attendee: Attendee, day: int, afternoon: bool) -> float:  # noqa: FBT001 - as ``half_day`` has it
    answers = attendee.answers
    thought = 0.5
    if attendee.prefers is not None:
        thought = _STATED if (attendee.prefers == "afternoon") is afternoon else 1 - _STATED
    for days in (range(7), range(day, day + 1)):
        accepted = sum(answers.get((one, afternoon, True), 0) for one in days)
        declined = sum(answers.get((one, afternoon, False), 0) for one in days)
        thought = (accepted + _PRIOR * thought) / (accepted + declined + _PRIOR)
    return thought


def _preference(candidate: Candidate, wish: Wish, _settings: Settings) -> Mark | None:
    liked = [
        (value, attendee)
        for attendee in _present(candidate, wish)
        if (value := liking(attendee, candidate.start)) is not None
    ]
    if not liked:
        return None
    weights = [1.0 if attendee.required else 0.5 for _, attendee in liked]
    mean = sum(weight * value for weight, (value, _) in zip(weights, liked, strict=True)) / sum(weights)
    worst, who = min(liked, key=lambda one: (one[0], not one[1].told))
    if worst < _BAD and not who.told:
        return Mark(mean, "not when everybody is in the habit of meeting")
    if worst < _BAD:
        return Mark(mean, f"{who.name} seldom takes meetings on {_when(who, candidate.start)}")
    if worst >= _GOOD:
        everybody = liked[0][1].name if len(liked) == 1 and who.told else "everybody"
        half = "afternoon" if liked[0][1].half_day(candidate.start)[1] else "morning"
        same = all(one.half_day(candidate.start)[1] is (half == "afternoon") for _, one in liked)
        return Mark(mean, f"in the {half}, as {everybody} likes it" if same else f"at a time that {everybody} likes")
    return Mark(mean)


def _when(attendee: Attendee, instant: int) -> str:
    day, afternoon = attendee.half_day(instant)
    return f"{_DAYS[day]} {'afternoons' if afternoon else 'mornings'}"


# --- the day around it -----------------------------------------------------------------------------------------------


def _gaps(attendee: Attendee, candidate: Candidate, *, with_hours: bool) -> list[int]:
    """How many seconds somebody has before and after the candidate, where there is anything before or after it."""
    periods = attendee.closed if with_hours else attendee.engaged
    at = bisect_right(periods, candidate.start, key=lambda one: one.start)
    gaps = [candidate.start - periods[at - 1].end] if at else []
    return [*gaps, periods[at].start - candidate.end] if at < len(periods) else gaps


def _buffer(candidate: Candidate, wish: Wish, settings: Settings) -> Mark | None:
    if settings.buffer <= 0:
        return None
    marks, tight = [], []
    for attendee in _present(candidate, wish):
        least = min(_gaps(attendee, candidate, with_hours=False), default=settings.buffer)
        marks.append(min(1.0, max(0, least) / settings.buffer))
        if least < settings.buffer:
            tight.append(attendee)
    if not marks:
        return None
    if tight:
        return Mark(_mean(marks), f"back to back with another meeting of {_names(tight)}")
    return Mark(1.0, f"{settings.buffer // 60} minutes free before and after it for everybody")


def _fragmentation(candidate: Candidate, wish: Wish, settings: Settings) -> Mark | None:
    marks, hurt, close = [], [], []
    for attendee in _present(candidate, wish):
        gaps = _gaps(attendee, candidate, with_hours=True)
        useless = [gap for gap in gaps if settings.buffer < gap < settings.useful]
        marks.append(1 - len(useless) / 2)
        if useless:
            hurt.append(attendee)
        elif any(0 <= gap <= settings.buffer for gap in _gaps(attendee, candidate, with_hours=False)):
            close.append(attendee)
    if not marks:
        return None
    if hurt:
        return Mark(_mean(marks), f"leaves {_names(hurt)} a gap that is too short for much else")
    return Mark(
        1.0, f"right beside other meetings of {_names(close)}, which keeps the day in one piece" if close else ""
    )


# --- where people are ------------------------------------------------------------------------------------------------


def _hours(candidate: Candidate, wish: Wish, _settings: Settings) -> Mark | None:
    """Half of what it costs is that it is outside of somebody's hours at all, the other half how late or early."""
    if not candidate.outside:
        return None
    named = candidate.outside[:_NAMED]
    there = ", ".join(f"{one.name} ({_clock(one, candidate.start)} there)" for one in named)
    if len(named) < len(candidate.outside):
        there += f" and {len(candidate.outside) - len(named)} more"
    cost = sum((1 + burden(one, candidate.start, candidate.end)) / 2 for one in candidate.outside)
    return Mark(1 - cost / len(wish.attendees), f"outside of the working hours of {there}")


def burden(attendee: Attendee, start: int, end: int) -> float:
    """How hard the hour of the day is for somebody: 0 within the day, 1 in the middle of the night."""
    begin = local(attendee.zone, start) % DAY
    finish = begin + end - start
    early, late = _COMFORTABLE[0] - begin, finish - _COMFORTABLE[1]
    return min(1.0, max(0, early, late) / _FULL_BURDEN)


def _fairness(candidate: Candidate, wish: Wish, _settings: Settings) -> Mark | None:
    """As good as it is for whom it is the worst: a mean would let one person pay for all."""
    present = _present(candidate, wish)
    if len({local(one.zone, candidate.start) for one in present}) < 2:
        return None
    worst, who = max(((burden(one, candidate.start, candidate.end), one) for one in present), key=lambda one: one[0])
    if worst:
        return Mark(1 - worst, f"at {_clock(who, candidate.start)} for {who.name}, who has the hardest hour")
    return Mark(1.0, "in the daytime for everybody")


def _travel(candidate: Candidate, wish: Wish, settings: Settings) -> Mark | None:
    here = candidate.room.place if candidate.room is not None else wish.place
    marks, late = [], []
    for attendee in _present(candidate, wish):
        for other in attendee.engaged_near(candidate.start, candidate.end):
            gap = candidate.start - other.end if other.end <= candidate.start else other.start - candidate.end
            needed = settings.seconds_between(other.place, here) if gap >= 0 else None
            if not needed:
                continue
            marks.append(min(1.0, gap / needed))
            if gap < needed and attendee not in late:
                late.append(attendee)
    if not marks:
        return None
    # One who cannot be there in time counts, however many others can.
    return Mark(min(marks), f"too little time for {_names(late)} to get there" if late else "time enough to get there")


# --- who and what is there -------------------------------------------------------------------------------------------


def _attendance(candidate: Candidate, wish: Wish, _settings: Settings) -> Mark | None:
    optional = [one for one in wish.attendees if not one.required]
    if not optional:
        return None
    value = 1 - len(candidate.absent) / len(optional)
    return Mark(value, f"without {_names(candidate.absent)}" if candidate.absent else "all optional attendees can come")


def _tentative(candidate: Candidate, wish: Wish, _settings: Settings) -> Mark | None:
    if not candidate.tentative:
        return None
    value = 1 - len(candidate.tentative) / len(wish.attendees)
    return Mark(value, f"{_names(candidate.tentative)} may have something else then")


def _room(candidate: Candidate, wish: Wish, _settings: Settings) -> Mark | None:
    if not wish.rooms:
        return None
    if candidate.room is None:
        return Mark(0.0, "no suitable room is free")
    if candidate.room.capacity is None:
        return Mark(0.75, f"{candidate.room.name} is free; nobody has said how many it holds")
    fit = min(1.0, wish.heads / candidate.room.capacity) if candidate.room.capacity else 1.0
    return Mark(0.5 + fit / 2, f"{candidate.room.name} is free")


def _sooner(candidate: Candidate, wish: Wish, _settings: Settings) -> Mark | None:
    room = wish.end - wish.start - wish.duration
    return Mark(1 - (candidate.start - wish.start) / room) if room > 0 else None


#: By the names of ``Weights``.
CONSIDERATIONS: Final[dict[str, Callable[[Candidate, Wish, Settings], Mark | None]]] = {
    "preference": _preference,
    "hours": _hours,
    "fairness": _fairness,
    "travel": _travel,
    "attendance": _attendance,
    "buffer": _buffer,
    "fragmentation": _fragmentation,
    "tentative": _tentative,
    "room": _room,
    "sooner": _sooner,
}


def _present(candidate: Candidate, wish: Wish) -> list[Attendee]:
    away = {*candidate.absent, *candidate.busy}
    return [one for one in wish.attendees if one not in away] if away else list(wish.attendees)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def who_is_busy(busy: Sequence[Attendee]) -> str:
    """Why a time is no more than an alternative."""
    return f"only {busy[0].name} is busy" if len(busy) == 1 else f"{_names(busy)} are busy"


def _names(attendees: Sequence[Attendee]) -> str:
    names = [one.name for one in attendees]
    if len(names) > _NAMED:
        return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _clock(attendee: Attendee, instant: int) -> str:
    return f"{wall(local(attendee.zone, instant)):%H:%M}"
