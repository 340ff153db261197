"""People in three zones with calendars, working hours, a past and a room: where a time is to be found.

The worked example of the system's design, section 5, stored as clients store it. Its text says that Carol works 9-5
CET, and then that all overlap at 18:00 to 21:00 CET, which cannot both be; the overlap is taken, so she works until
21:00 here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from caldavd import provision
from caldavd.app import Application
from config.settings import Provisioning
from scheduling.delivery.scheduler import Scheduler
from storage.open import open_store
from storage.rows import Booking, PrincipalKind
from storage.store import Store, Transaction
from tests.caldavd.client import DECLARATIONS, Answer, Client, NamesAreEnough

PACIFIC = ZoneInfo("America/Los_Angeles")
MONDAY = datetime(2026, 1, 12, tzinfo=PACIFIC)
#: The evening before.
NOW = MONDAY - timedelta(hours=4)
WEST, EAST, CET = "America/Los_Angeles", "America/New_York", "Europe/Berlin"
ZONES = {"alice": WEST, "bob": EAST, "carol": CET, "dave": WEST, "olga": WEST}
HOURS = {name: (12, 21) if name == "carol" else (9, 17) for name in ZONES}
Span = tuple[int, str, str]
#: Day of the week from Monday (0), and from when until when on the clocks of the west coast.
BUSY: dict[str, list[Span]] = {
    "alice": [(0, "09:30", "10:30"), (3, "08:30", "09:15"), (3, "10:00", "12:00")],
    "bob": [(0, "11:00", "12:00"), (1, "09:30", "12:00"), (4, "10:30", "12:00")],
    "carol": [(2, "09:00", "11:00"), (4, "09:00", "10:00")],
    "dave": [(2, "11:30", "14:00")],
    "olga": [(3, "09:00", "09:30")],
    "boardroom": [(0, "09:00", "10:30"), (2, "11:00", "12:00")],
}
#: All of them, every Monday.
ALL_HANDS: Span = (0, "09:30", "10:15")
#: How many of the last eight invitations to 9:30 were accepted, by the day of the week: Fridays are often cancelled.
ACCEPTED = {0: 5, 1: 8, 2: 8, 3: 8, 4: 1}


def at(day: int, clock: str, *, week: int = 0) -> datetime:
    """That day of the week of the example, on a clock of the west coast."""
    hours, minutes = map(int, clock.split(":"))
    naive = datetime(2026, 1, 12) + timedelta(days=day, weeks=week, hours=hours, minutes=minutes)  # noqa: DTZ001
    return naive.replace(tzinfo=PACIFIC)


def utc(moment: datetime) -> str:
    """As a UTC time of iCalendar."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def calendar(*lines: str, kind: str = "VEVENT") -> str:
    """An object of one component."""
    whole = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//caldavd//tests//EN", f"BEGIN:{kind}", *lines, f"END:{kind}")
    return "\r\n".join((*whole, "END:VCALENDAR", ""))


def meeting(uid: str, start: datetime, end: datetime, *more: str, summary: str = "Secret plan") -> str:
    """An event; ``more`` are further content lines."""
    when = (f"DTSTART:{utc(start)}", f"DTEND:{utc(end)}")
    return calendar(f"UID:{uid}", "DTSTAMP:20260101T000000Z", *when, f"SUMMARY:{summary}", *more)


def working(zone: str, hours: tuple[int, int]) -> str:
    """Monday to Friday, as a client states it (RFC 7953)."""
    return calendar(
        "UID:hours", "DTSTAMP:20260101T000000Z", "BEGIN:AVAILABLE", "UID:week", "DTSTAMP:20260101T000000Z",
        f"DTSTART;TZID={zone}:20250106T{hours[0]:02}0000", f"DTEND;TZID={zone}:20250106T{hours[1]:02}0000",
        "RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "END:AVAILABLE",
        kind="VAVAILABILITY",
    )  # fmt: skip


def _accounts(tx: Transaction) -> None:
    for name, zone in (ZONES | {"boardroom": WEST, "admin": "UTC", "stranger": "UTC"}).items():
        room = name == "boardroom"
        new = provision.NewPrincipal(
            name=name,
            kind=PrincipalKind.ROOM if room else PrincipalKind.INDIVIDUAL,
            displayname=name.title(),
            addresses=(f"mailto:{name}@example.org",),
            timezone=zone,
            admin=name == "admin",
            schedules=True,
        )
        made = provision.create(tx, new, Provisioning())
        if room:
            tx.bookings.set(Booking(principal_id=made.id, capacity=6, equipment=("projector",), place="Castle"))


class MeetingWorld:
    """The example in a store whose clock stands still; ``make`` puts an application around it."""

    def __init__(self, database: Path | str) -> None:
        url = database if isinstance(database, str) else f"sqlite:///{database}"
        self.store: Store = open_store(url, clock=lambda: NOW)
        self.store.upgrade()
        self.store.run(_accounts, write=True)

    def application(self, **parts: object) -> Application:
        """A server of these people."""
        who = NamesAreEnough(self.store)
        return Application(store=self.store, authenticator=who, scheduler=Scheduler(), **parts)  # type: ignore[arg-type]

    def fill(self) -> None:
        """All that the example has, by requests of these people."""
        admin = Client(self.application(), "admin")
        for name, spans in BUSY.items():
            for number, span in enumerate([*spans, *([ALL_HANDS] if name in ZONES else [])]):
                self._put(admin, name, f"busy{number}", meeting(f"{name}{number}", *_between(span)))
        for name, zone in ZONES.items():
            self.state(name, working(zone, HOURS[name]))
            for uid, text in _past(name):
                self._put(admin, name, uid, text)

    def state(self, name: str, hours: str) -> Answer:
        """States working hours."""
        answer = Client(self.application(), name).proppatch(
            f"/calendars/{name}/inbox/", set=f"<C:calendar-availability>{hours}</C:calendar-availability>"
        )
        assert answer.status == 207, answer.body
        return answer

    def put(self, name: str, uid: str, text: str) -> None:
        """An object in somebody's calendar."""
        self._put(Client(self.application(), name), name, uid, text)

    def _put(self, client: Client, name: str, uid: str, text: str) -> None:
        answer = client.put(f"/calendars/{name}/calendar/{uid}.ics", text)
        assert answer.status == 201, answer.body


def _between(span: Span) -> tuple[datetime, datetime]:
    day, start, end = span
    return at(day, start), at(day, end)


def _past(name: str) -> Iterator[tuple[str, str]]:
    for day, accepted in ACCEPTED.items():
        for week in range(1, 9):
            answer = "ACCEPTED" if week <= accepted else "DECLINED"
            start = at(day, "09:30", week=-week)
            uid = f"{name}-{day}-{week}"
            yield uid, meeting(uid, start, start + timedelta(minutes=30), *invited(name, answer))


def invited(name: str, partstat: str) -> tuple[str, str]:
    """Lines of a meeting of somebody else, who sends the invitations, with somebody's answer to it."""
    organizer = "ORGANIZER;SCHEDULE-AGENT=CLIENT:mailto:chef@elsewhere.example"
    return organizer, f"ATTENDEE;PARTSTAT={partstat}:mailto:{name}@example.org"


def question(*inner: str, duration: str = "PT30M", start: datetime = MONDAY, days: float = 5) -> str:
    """A find-time; ``inner`` are its other elements."""
    end = start + timedelta(days=days)
    return (
        f'<F:find-time xmlns:F="urn:caldavd:ns" {DECLARATIONS}><F:duration>{duration}</F:duration>'
        f'<C:time-range start="{utc(start)}" end="{utc(end)}"/>{"".join(inner)}</F:find-time>'
    )


def attendee(name: str, role: str = "REQ-PARTICIPANT") -> str:
    """One who comes, by the mail address."""
    return f'<F:attendee role="{role}"><D:href>mailto:{name}@example.org</D:href></F:attendee>'


def ask(application: Application, name: str, body: str, **headers: str) -> Answer:
    """POSTs a question to somebody's outbox."""
    client = Client(application, name)
    return client.request("POST", f"/calendars/{name}/outbox/", body, **{"Content_Type": "application/xml", **headers})
