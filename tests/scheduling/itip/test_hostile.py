"""Messages made of torn and shuffled lines, and very large meetings: a stated outcome each time, at bounded cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from scheduling import itip
from scheduling.ical.lines import ICalendarError
from scheduling.ical.validate import validate
from scheduling.itip import organizer
from scheduling.itip.message import METHODS
from scheduling.itip.snapshot import read

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2030, 1, 1, tzinfo=UTC)
A = itip.Actor(frozenset({"mailto:a@example.com"}))
B = itip.Actor(frozenset({"mailto:b@example.com"}))

SERIES = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//EN
BEGIN:VEVENT
UID:meeting
DTSTAMP:20300101T000000Z
SEQUENCE:1
DTSTART:20300201T100000Z
DTEND:20300201T110000Z
RRULE:FREQ=DAILY;COUNT=5
EXDATE:20300204T100000Z
SUMMARY:Planning
ORGANIZER:mailto:a@example.com
ATTENDEE;PARTSTAT=ACCEPTED:mailto:a@example.com
ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:b@example.com
BEGIN:VALARM
ACTION:DISPLAY
TRIGGER:-PT5M
DESCRIPTION:soon
END:VALARM
END:VEVENT
BEGIN:VEVENT
UID:meeting
DTSTAMP:20300101T000000Z
RECURRENCE-ID:20300203T100000Z
DTSTART:20300203T120000Z
DTEND:20300203T130000Z
SUMMARY:Planning
ORGANIZER:mailto:a@example.com
ATTENDEE;PARTSTAT=ACCEPTED:mailto:a@example.com
ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:b@example.com
END:VEVENT
END:VCALENDAR
""".splitlines()

#: Lines that readers trip over.
NASTY = [
    "RECURRENCE-ID;RANGE=THISANDFUTURE:20300202T100000Z",
    "RECURRENCE-ID;VALUE=DATE:20300202",
    "RECURRENCE-ID:20300205T100000Z",
    "RECURRENCE-ID:99991231T235959Z",
    "DTSTART;VALUE=DATE:20300201",
    "DTSTART;TZID=Europe/Berlin:20300201T100000",
    "DTSTART;TZID=Nowhere:20300201T100000",
    "DTSTART:00010101T000000Z",
    "DTSTART:99991231T235959Z",
    "DURATION:-PT1H",
    "DURATION:P99999999D",
    "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
    "RRULE:FREQ=SECONDLY",
    "RRULE:",
    "RRULE:RSCALE=HEBREW;FREQ=YEARLY",
    "RDATE;VALUE=PERIOD:20300210T100000Z/PT1H,20300211T100000Z/20300211T120000Z",
    "RDATE:20300201T100000Z",
    "EXDATE;VALUE=DATE:20300202",
    "EXDATE:",
    "SEQUENCE:99999999999",
    "SEQUENCE:-3",
    "STATUS:CANCELLED",
    "ORGANIZER:",
    "ORGANIZER:mailto:z@example.org",
    'ORGANIZER;SENT-BY="mailto:b@example.com":mailto:a@example.com',
    "ATTENDEE:",
    'ATTENDEE;PARTSTAT=DELEGATED;DELEGATED-TO="mailto:b@example.com":mailto:b@example.com',
    'ATTENDEE;PARTSTAT=DELEGATED;DELEGATED-TO="":mailto:b@example.com',
    "ATTENDEE;PARTSTAT:mailto:b@example.com",
    "ATTENDEE;SCHEDULE-AGENT=CLIENT:mailto:b@example.com",
    'ATTENDEE;MEMBER="mailto:b@example.com":mailto:b@example.com',
    "REQUEST-STATUS:",
    "REQUEST-STATUS:2.0",
    "DTSTAMP:never",
    "BEGIN:VALARM",
    "END:VEVENT",
    "END:VCALENDAR",
    "X-CALENDARSERVER-PRIVATE-COMMENT:psst",
    "PERCENT-COMPLETE:many",
]

cuts = st.lists(
    st.tuples(st.sampled_from(["drop", "double", "put", "swap"]), st.integers(0, len(SERIES)), st.sampled_from(NASTY)),
    max_size=4,
)


def torn(lines: list[str], edits: list[tuple[str, int, str]]) -> list[str]:
    out = list(lines)
    for what, where, line in edits:
        at = where % len(out) if out else 0
        if what == "drop" and out:
            del out[at]
        elif what == "double" and out:
            out.insert(at, out[at])
        elif what == "swap" and out:
            out[at] = line
        else:
            out.insert(at, line)
    return out


def text(lines: list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


def storable(lines: list[str]) -> bytes | None:
    try:
        validate(text(lines))
    except ICalendarError:
        return None
    return text(lines)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(sorted(METHODS)),
    sent=cuts,
    had=cuts,
    sender=st.sampled_from(["mailto:a@example.com", "mailto:b@example.com", "mailto:z@example.org"]),
    recipient=st.sampled_from([A, B]),
    stored=st.booleans(),
)
def test_every_message_has_an_outcome(
    method: str,
    sent: list[tuple[str, int, str]],
    had: list[tuple[str, int, str]],
    sender: str,
    recipient: itip.Actor,
    stored: bool,
) -> None:
    to = next(iter(recipient.addresses))
    there = storable(torn(SERIES, had)) if stored else None
    lines = torn(SERIES, sent)
    lines.insert(1, f"METHOD:{method}")
    try:
        message = itip.received(text(lines), sender=sender, recipient=to, now=NOW)
        if there is not None:
            read(there)
    except ICalendarError:
        return
    applied = itip.incoming(message, there, recipient, now=NOW)
    assert applied.reason.endswith((".", ")", "…")) or "cannot be read" in applied.reason
    assert applied.status
    assert (applied.text is not None) is (applied.action in ("create", "update"))
    if applied.text is not None:
        assert validate(applied.text).uid == message.uid
        again = itip.incoming(message, applied.text, recipient, now=NOW)
        if applied.action == "create":
            assert again.action in ("ignore", "delete", "update")
    for onward in applied.onward:
        assert read(onward.text) is not None


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(old=cuts, new=cuts, actor=st.sampled_from([A, B]), fresh=st.booleans())
def test_every_change_has_an_outcome(
    old: list[tuple[str, int, str]], new: list[tuple[str, int, str]], actor: itip.Actor, fresh: bool
) -> None:
    before = None if fresh else storable(torn(SERIES, old))
    after = storable(torn(SERIES, new))
    if after is None:
        return
    try:
        if before is not None:
            read(before)
        out = itip.outgoing(before, after, actor, now=NOW)
    except ICalendarError:
        return
    if out.refused is not None:
        assert out.refused.sentence.endswith(("]", ".", ")."))
        return
    assert out.text is not None
    validate(out.text)
    for message in out.messages:
        other = itip.Actor(frozenset({message.recipient}))
        applied = itip.incoming(message, None, other, now=NOW)
        if applied.text is not None:
            validate(applied.text)
    gone = itip.outgoing(out.text, None, actor, now=NOW)
    assert gone.text is None


# --- very large ------------------------------------------------------------------------------------------------------


def invitation(people: int) -> bytes:
    lines = [line for line in SERIES[: SERIES.index("BEGIN:VALARM")] if not line.startswith("ATTENDEE")]
    lines += [f"ATTENDEE;CN=Person {i};PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:p{i}@example.com" for i in range(people)]
    return text([*lines, "END:VEVENT", "END:VCALENDAR"])


def test_ten_thousand_invitations_are_one_text() -> None:
    out = itip.outgoing(None, invitation(10_000), A, now=NOW)
    assert len(out.messages) == 10_000
    assert len({id(message.text) for message in out.messages}) == 1
    texts = {
        id(itip.incoming(message, None, itip.Actor(frozenset({message.recipient})), now=NOW).text)
        for message in out.messages[:1_000]
    }
    assert len(texts) == 1


def test_an_answer_among_ten_thousand_is_worked_out_once() -> None:
    stored = invitation(10_000)
    out = itip.outgoing(None, stored, A, now=NOW)
    copies = {
        one.recipient: itip.incoming(one, None, itip.Actor(frozenset({one.recipient})), now=NOW).text
        for one in out.messages[:50]
    }
    me = itip.Actor(frozenset({"mailto:p7@example.com"}))
    copy = copies["mailto:p7@example.com"]
    assert copy is not None
    answer = copy.replace(b"Person 7;PARTSTAT=NEEDS-ACTION", b"Person 7;PARTSTAT=ACCEPTED")
    replies = itip.outgoing(copy, answer, me, now=NOW).messages
    applied = itip.incoming(replies[0], stored, A, now=NOW)
    assert len(applied.onward) == 9_999
    assert len({id(message.text) for message in applied.onward}) == 1
    updates = [
        itip.incoming(one, copies[one.recipient], itip.Actor(frozenset({one.recipient})), now=NOW)
        for one in applied.onward
        if one.recipient in copies
    ]
    assert len({id(one.text) for one in updates}) == 1
    assert not any(one.significant or one.inbox for one in updates)


def test_too_many_different_views_are_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(organizer, "MOST_TEXT", 20_000)
    lines = list(SERIES)
    start = datetime(2031, 1, 1, 10, tzinfo=UTC)
    override = SERIES[SERIES.index("RECURRENCE-ID:20300203T100000Z") - 3 : -1]
    for number in range(40):
        day = start + timedelta(days=number)
        part = [
            f"RECURRENCE-ID:{day:%Y%m%dT%H%M%SZ}" if line.startswith("RECURRENCE-ID") else line for line in override
        ]
        part.insert(-1, f"ATTENDEE:mailto:guest{number}@example.com")
        lines[-1:-1] = part
    out = itip.outgoing(None, text(lines), A, now=NOW)
    assert out.refused is not None
    assert out.refused.condition == "allowed-organizer-scheduling-object-change"
    assert out.messages == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda source: source.replace(b"UID:meeting", b"UID:" + b"x" * 200_000),
        lambda source: source.replace(b"mailto:b@example.com", b"mailto:" + b"b" * 100_000 + b"@example.com"),
        lambda source: source.replace(b"SUMMARY:Planning", b"SUMMARY:" + "ü\\n".encode() * 50_000),
        lambda source: source.replace(b"PARTSTAT=NEEDS-ACTION", b'CN="' + b"^n" * 50_000 + b'"'),
    ],
)
def test_huge_values_travel_or_not_but_nothing_breaks(change: Callable[[bytes], bytes]) -> None:
    source = change(text(SERIES))
    out = itip.outgoing(None, source, A, now=NOW)
    assert len(out.messages) == 1
    message = out.messages[0]
    applied = itip.incoming(message, None, itip.Actor(frozenset({message.recipient})), now=NOW)
    assert applied.action == "create"


def test_a_reply_that_would_make_the_object_too_large_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    from scheduling.ical.lines import Limits
    from scheduling.itip import replies

    stored = text(SERIES)
    lines = [
        "BEGIN:VCALENDAR",
        "METHOD:REPLY",
        "VERSION:2.0",
        "BEGIN:VEVENT",
        "UID:meeting",
        "SEQUENCE:1",
        "RECURRENCE-ID:20300202T100000Z",
        "ORGANIZER:mailto:a@example.com",
        "ATTENDEE;PARTSTAT=DECLINED:mailto:b@example.com",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    message = itip.received(text(lines), sender="mailto:b@example.com", recipient="mailto:a@example.com", now=NOW)
    assert itip.incoming(message, stored, A, now=NOW).action == "update"
    monkeypatch.setattr(replies, "OBJECT_LIMITS", Limits(size=len(stored) + 50))
    applied = itip.incoming(message, stored, A, now=NOW)
    assert applied.action == "ignore"
    assert "too large" in applied.reason
