"""What a scheduling message says to a person: subject, plain text and HTML.

Owns the clear-text form that RFC 6047 section 2.4 asks for beside the iCalendar object. Pure. The sentences are in
``wording``; what is around the text (headers, MIME) is in ``mailer``.

Everything in a calendar object was written by somebody: it is shown as text, without control characters and without
those that change the direction of what stands beside them, cut where it is longer than anybody reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Final

from scheduling.addresses import mailbox
from scheduling.ical.lines import ICalendarError, text as unescape
from scheduling.ical.recur import parse as rule_of
from scheduling.ical.timezones import UTC, Zone
from scheduling.ical.timing import instance_of
from scheduling.ical.values import DAY, Form, nearest_wall
from scheduling.itip.snapshot import Part, Party, Rid, Snapshot, read

if TYPE_CHECKING:
    from scheduling.ical.timing import Instance
    from scheduling.itip.message import Message
    from scheduling.mail.wording import Language

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_SPACE: Final = re.compile(r"\s+")
#: Characters of a line and of a long text; people, and instances, that are told one by one.
_LINE: Final = 200
_LONG: Final = 10_000
_PEOPLE: Final = 20
_DATES: Final = 10

#: What a proposal that is agreed to changes.
_MOVED: Final = ("when", "due", "where")

#: What each answer is called (RFC 5545 3.2.12).
_ANSWERS: Final = {
    "ACCEPTED": "accepted",
    "COMPLETED": "accepted",
    "IN-PROCESS": "accepted",
    "DECLINED": "declined",
    "TENTATIVE": "tentative",
    "DELEGATED": "delegated",
}
#: Subject and first sentence of the methods that have the same for every message (RFC 5546 1.4).
_METHODS: Final = {
    "ADD": ("subject-added", "added"),
    "PUBLISH": ("subject-published", "published"),
    "REFRESH": ("subject-refresh", "refresh"),
    "COUNTER": ("subject-counter", "counter"),
    "DECLINECOUNTER": ("subject-declined-counter", "declined-counter"),
}


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom a mail is written.

    ``zone`` is the zone of their own; ``None``: not known, times are told in the event's. ``fallback`` counts where an
    event is in UTC, which nobody lives in. ``links`` lead to pages where they answer, by ``accept``, ``maybe``,
    ``decline`` and ``propose``.
    """

    language: Language
    zone: Zone | None = None
    fallback: Zone = UTC
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fact:
    """A line about an event: the key of its label, what it says, and what it said before, where that is different."""

    label: str
    text: str
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail's subject and its text in two forms."""

    subject: str
    plain: str
    html: str


def one_line(text: str, *, length: int = _LINE) -> str:
    """``text`` as one line of at most ``length`` characters, without anything that a header or a screen obeys."""
    line = _SPACE.sub(" ", _CONTROL.sub(" ", text)).strip()
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def long_text(text: str) -> str:
    """``text`` with its lines kept, cut where it is very long."""
    kept = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    return kept if len(kept) <= _LONG else kept[:_LONG].rstrip() + "…"


def letter(message: Message, reader: Reader, *, sender: str = "", before: bytes | None = None) -> Letter:
    """What ``message`` says to ``reader``.

    ``sender`` is the name of who sends it, where the directory knows one. ``before`` is the sender's object as it was
    before the change that made the message; what is different is told.

    Raises ICalendarError for a text that cannot be read.
    """
    snapshot = read(message.text)
    if snapshot is None:
        raise ICalendarError("There is neither ORGANIZER nor ATTENDEE in this message.")
    older = _compared(message, before)
    rids = [rid for rid in message.recurrence_ids if snapshot.describing(rid) is not None]
    if message.method == "COUNTER" and older is not None:
        blocks = [proposed(snapshot, rid, reader, older) for rid in rids[:_DATES]]
    else:
        blocks = [facts(snapshot, rid, reader, older) for rid in rids[:_DATES]]
    more = len(rids) - len(blocks)
    name = one_line(sender) or _name_of_sender(message, snapshot) or reader.language.say("somebody")
    subject, sentence = _occasion(message, snapshot, updated=older is not None)
    title = blocks[0][0].text if blocks else reader.language.say("untitled")
    intro = [reader.language.say(sentence, name=name)]
    changed = dict.fromkeys(fact.label for block in blocks for fact in block if fact.before is not None)
    if changed:
        labels = ", ".join(reader.language.say(label) for label in changed)
        intro.append(reader.language.say("changed", labels=labels))
    outro = [reader.language.say("more-dates", n=more)] if more > 0 else []
    if message.method in ("REQUEST", "ADD") and not reader.links:
        outro.append(reader.language.say("how-to-answer"))
    return Letter(
        reader.language.say(subject, title=title),
        _plain(reader, intro, blocks, outro),
        _html(reader, intro, blocks, outro),
    )


def _compared(message: Message, before: bytes | None) -> Snapshot | None:
    """The object before the change, where the recipient knew it and is told of a change."""
    if before is None or message.forced or message.method not in ("REQUEST", "COUNTER"):
        return None
    try:
        older = read(before)
    except ICalendarError:
        return None
    known = older is not None and (message.method == "COUNTER" or message.recipient in older.addresses)
    return older if known else None


def _occasion(message: Message, snapshot: Snapshot, *, updated: bool) -> tuple[str, str]:
    """The keys of the subject and of the first sentence."""
    match message.method:
        case "REQUEST":
            return ("subject-updated", "updated") if updated else ("subject-invited", "invited")
        case "CANCEL":
            cancelled = all(snapshot.parts[rid].cancelled for rid in snapshot.parts)
            return "subject-cancelled", "cancelled" if cancelled else "taken-off"
        case "REPLY":
            answers = {
                _ANSWERS.get(party.partstat, "replied")
                for part in snapshot.parts.values()
                if (party := part.own({message.sender})) is not None
            }
            answer = answers.pop() if len(answers) == 1 else "replied"
            return f"subject-{answer}", answer
    return _METHODS[message.method]


def _name_of_sender(message: Message, snapshot: Snapshot) -> str:
    parties = [party for part in snapshot.parts.values() for party in (*part.attendees, part.organizer) if party]
    found = next((party for party in parties if party.address == message.sender), snapshot.organizer)
    return "" if found is None else name_of(found)


def name_of(party: Party) -> str:
    """CN, else the mail address (RFC 5545 3.2.2)."""
    return one_line(party.line.param("CN") or "") or one_line(mailbox(party.address) or party.address)


# --- facts -----------------------------------------------------------------------------------------------------------


def facts(snapshot: Snapshot, rid: Rid, reader: Reader, older: Snapshot | None = None) -> list[Fact]:
    """What there is to say of one instance, or of the whole, the title first; ``older``: what is different from it."""
    now = dict(_told(snapshot, rid, reader))
    then = dict(_told(older, rid, reader)) if older is not None else now
    found = []
    for label in dict.fromkeys((*now, *then)):
        text, before = now.get(label, ""), then.get(label, "")
        # Who else comes is not a change that the reader has to do anything about.
        compared = older is not None and label not in ("attendees", "organizer", "comment")
        different = compared and text != before
        if text or different:
            nothing = reader.language.say("nothing")
            found.append(Fact(label, text or nothing, (before or nothing) if different else None))
    return found


def proposed(snapshot: Snapshot, rid: Rid, reader: Reader, meeting: Snapshot) -> list[Fact]:
    """The ``meeting`` with what would be different if the organizer agreed to the proposal ``snapshot``.

    That is when and where (``proposals.agreed``), whatever else a proposal says or leaves out: Outlook's has a title of
    its own and no description.
    """
    new = {one.label: one for one in facts(snapshot, rid, reader)}
    known = {one.label: one for one in facts(meeting, rid, reader) if one.label != "comment"}
    nothing = reader.language.say("nothing")
    found = []
    for label in dict.fromkeys((*known, *_MOVED, "comment")):
        now, then = known.get(label), new.get(label)
        if then is None or (label not in _MOVED and label != "comment"):
            found += [now] if now is not None else []
        elif label == "comment" or (now is not None and now.text == then.text):
            found.append(then)
        else:
            found.append(Fact(label, then.text, now.text if now is not None else nothing))
    return found


def _told(snapshot: Snapshot, rid: Rid, reader: Reader) -> Iterator[tuple[str, str]]:
    part = snapshot.describing(rid)
    if part is None:
        return
    component, say = part.component, reader.language.say

    def value(name: str) -> str:
        line = component.first(name)
        return "" if line is None else unescape(line.value)

    yield "title", one_line(value("SUMMARY")) or say("untitled")
    found = instance(snapshot, part, rid)
    if found is not None and not found.timeless:
        yield "when" if found.start is not None else "due", when(found, reader)
    if rid is None:
        yield "repeats", _repeats(part, reader)
    yield "where", one_line(value("LOCATION"))
    yield "link", one_line(value("CONFERENCE") or value("URL"), length=1000)
    if part.organizer is not None:
        yield "organizer", name_of(part.organizer)
    people = [name_of(party) for party in part.attendees[:_PEOPLE]]
    if len(part.attendees) > _PEOPLE:
        people.append(say("and-more", n=len(part.attendees) - _PEOPLE))
    yield "attendees", ", ".join(people)
    yield "comment", long_text(value("COMMENT"))
    yield "description", long_text(value("DESCRIPTION"))


def instance(snapshot: Snapshot, part: Part, rid: Rid) -> Instance | None:
    """When ``rid`` is, which ``part`` describes; the first time of a series. None where it has no time."""
    if rid is not None:
        return snapshot.instance(rid)
    timing = snapshot.timing(part)
    if timing is None:
        return None
    return instance_of(part.component, timing, local=timing.local, instant=timing.instant, rid=None)


def _repeats(part: Part, reader: Reader) -> str:
    line = part.component.first("RRULE")
    try:
        return "" if line is None else reader.language.recurrence(rule_of(line.value))
    except ICalendarError:
        return ""


def zone_for(found: Instance, reader: Reader) -> Zone:
    """The zone in which the reader is told when ``found`` is."""
    return reader.zone or (reader.fallback if found.form is Form.UTC else found.zone)


def when(found: Instance, reader: Reader) -> str:
    """From when to when, in the reader's zone; dates and floating times as they are on every wall."""
    language = reader.language
    if found.floating:
        start, end, name = found.start_local, found.end_local, ""
    else:
        zone = zone_for(found, reader)
        start = None if found.start is None else zone.to_local(found.start)
        end = None if found.end is None else zone.to_local(found.end)
        name = f" ({_zone_name(zone, found.order)})"
    if start is None or end is None or end <= start:
        at = start if start is not None else end
        assert at is not None
        return language.day(at) if found.all_day else f"{language.day(at)}, {_time(at)}{name}"
    if found.all_day:
        last = end - DAY
        return language.day(start) if last <= start else _span(language.day(start), language.day(last))
    if start // DAY == end // DAY:
        return f"{language.day(start)}, {_time(start)}\N{EN DASH}{_time(end)}{name}"
    return _span(f"{language.day(start)}, {_time(start)}", f"{language.day(end)}, {_time(end)}{name}")


def _span(start: str, end: str) -> str:
    return f"{start} \N{EN DASH} {end}"


def _time(local: int) -> str:
    return f"{nearest_wall(local):%H:%M}"


def _zone_name(zone: Zone, instant: int) -> str:
    """The zone's name and how far it is from UTC then: not every TZID says something to a person."""
    offset = zone.to_local(instant) - instant
    hours, minutes = divmod(abs(offset) // 60, 60)
    shift = "UTC" if not offset else f"UTC{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}"
    name = one_line(zone.name, length=64)
    return shift if name == "UTC" and not offset else f"{name}, {shift}"


# --- text ------------------------------------------------------------------------------------------------------------


def _plain(reader: Reader, intro: list[str], blocks: list[list[Fact]], outro: list[str]) -> str:
    say = reader.language.say
    parts = ["\n".join(intro)]
    for block in blocks:
        lines = []
        for fact in block:
            inner = f"\n{fact.text}" if "\n" in fact.text else f" {fact.text}"
            lines.append(f"{say(fact.label)}:{inner}")
            if fact.before is not None:
                lines.append(f"    ({say('was', text=one_line(fact.before))})")
        parts.append("\n".join(lines))
    if reader.links:
        parts.append("\n".join(f"{say(key)}: {url}" for key, url in reader.links.items()))
    return "\n\n".join([*parts, *outro]) + "\n"


def _html(reader: Reader, intro: list[str], blocks: list[list[Fact]], outro: list[str]) -> str:
    say = reader.language.say
    out = [
        f'<!DOCTYPE html>\n<html lang="{reader.language.tag}"><head><meta charset="utf-8"></head>',
        '<body style="font-family: sans-serif; font-size: 15px; color: #202020">',
        *(f"<p>{escape(sentence)}</p>" for sentence in intro),
    ]
    for block in blocks:
        out.append('<table role="presentation" style="border-left: 3px solid #3a87ad; margin: 12px 0">')
        for fact in block:
            text = escape(fact.text).replace("\n", "<br>\n")
            if fact.label == "title":
                text = f"<strong>{text}</strong>"
            if fact.before is not None:
                before = say("was", text=one_line(fact.before))
                text += f'<br>\n<span style="color: #707070">({escape(before)})</span>'
            out.append(
                '<tr><td style="padding: 3px 12px; color: #606060; vertical-align: top; white-space: nowrap">'
                f'{escape(say(fact.label))}</td><td style="padding: 3px 12px">{text}</td></tr>'
            )
        out.append("</table>")
    if reader.links:
        style = "display: inline-block; padding: 8px 16px; border: 1px solid #3a87ad; color: #1f5f80"
        buttons = (
            f'<a style="{style}" href="{escape(url)}">{escape(say(key))}</a>' for key, url in reader.links.items()
        )
        out.append(f"<p>{' '.join(buttons)}</p>")
    out += [f'<p style="color: #606060">{escape(sentence)}</p>' for sentence in outro]
    return "\n".join([*out, "</body></html>"]) + "\n"
