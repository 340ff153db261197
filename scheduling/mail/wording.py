"""The sentences that are mailed to people, by language; dates, times and recurrences in words.

One table for each language, all with the same keys (a test compares them). A new language is a new table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scheduling.ical.recur import Frequency, Rule
from scheduling.ical.values import nearest_wall
from scheduling.mail import pagewording

if TYPE_CHECKING:
    from datetime import datetime

#: What counts where a language is not known here.
DEFAULT: Final = "en"


@dataclass(frozen=True, slots=True)
class Language:
    """``sentences`` are formats with named fields; ``date`` has ``{weekday} {day} {month} {year}``."""

    tag: str
    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    date: str
    sentences: Mapping[str, str]

    def say(self, key: str, **fields: object) -> str:
        """The sentence ``key``."""
        return self.sentences[key].format(**fields)

    def day(self, local: int) -> str:
        """The date of ``local`` seconds."""
        at: datetime = nearest_wall(local)
        return self.date.format(
            weekday=self.weekdays[at.weekday()], day=at.day, month=self.months[at.month - 1], year=at.year
        )

    def recurrence(self, rule: Rule) -> str:
        """How often, as far as it can be said in a few words."""
        unit = rule.frequency.name.lower()
        words = [self.say(f"every-{unit}") if rule.interval == 1 else self.say(f"every-n-{unit}", n=rule.interval)]
        if rule.frequency is Frequency.WEEKLY and rule.by_day:
            words.append(self.say("on-days", days=", ".join(self.weekdays[day] for _, day in rule.by_day)))
        if rule.count is not None:
            words.append(self.say("times", n=rule.count))
        elif rule.until is not None:
            words.append(self.say("until", date=self.day(rule.until.local)))
        return ", ".join(words)


_ENGLISH: Final = Language(
    "en",
    ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    (
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ),
    "{weekday}, {day} {month} {year}",
    {
        "subject-invited": "Invitation: {title}",
        "subject-updated": "Updated: {title}",
        "subject-cancelled": "Cancelled: {title}",
        "subject-added": "Another date: {title}",
        "subject-published": "{title}",
        "subject-replied": "Answer: {title}",
        "subject-accepted": "Accepted: {title}",
        "subject-declined": "Declined: {title}",
        "subject-tentative": "Maybe: {title}",
        "subject-delegated": "Delegated: {title}",
        "subject-refresh": "Please send again: {title}",
        "subject-counter": "Another time proposed: {title}",
        "subject-declined-counter": "Proposal declined: {title}",
        "invited": "{name} invites you.",
        "updated": "{name} has changed this invitation.",
        "cancelled": "{name} has cancelled this.",
        "taken-off": "{name} has taken you off the list of attendees.",
        "added": "{name} has added another date to this invitation.",
        "published": "{name} sends you this for your calendar.",
        "replied": "{name} has answered.",
        "accepted": "{name} has accepted.",
        "declined": "{name} has declined.",
        "tentative": "{name} may come.",
        "delegated": "{name} has asked somebody else to come instead.",
        "refresh": "{name} asks you to send this invitation again.",
        "counter": "{name} proposes a change.",
        "declined-counter": "{name} has declined your proposal; it stays as it was.",
        "changed": "Changed: {labels}.",
        "was": "was: {text}",
        "nothing": "nothing",
        "untitled": "(without a title)",
        "somebody": "Somebody",
        "title": "What",
        "when": "When",
        "due": "Due",
        "repeats": "Repeats",
        "where": "Where",
        "link": "Link",
        "organizer": "Organizer",
        "attendees": "Attendees",
        "comment": "Comment",
        "description": "Description",
        "and-more": "and {n} more",
        "more-dates": "… and {n} more dates: see your calendar.",
        "every-yearly": "every year",
        "every-monthly": "every month",
        "every-weekly": "every week",
        "every-daily": "every day",
        "every-hourly": "every hour",
        "every-minutely": "every minute",
        "every-secondly": "every second",
        "every-n-yearly": "every {n} years",
        "every-n-monthly": "every {n} months",
        "every-n-weekly": "every {n} weeks",
        "every-n-daily": "every {n} days",
        "every-n-hourly": "every {n} hours",
        "every-n-minutely": "every {n} minutes",
        "every-n-secondly": "every {n} seconds",
        "on-days": "on {days}",
        "times": "{n} times",
        "until": "until {date}",
        "accept": "Accept",
        "maybe": "Maybe",
        "decline": "Decline",
        "propose": "Propose another time",
        "how-to-answer": "To answer, open the attached invitation in your calendar, or use the buttons that your mail "
        "program shows for it.",
    }
    | pagewording.ENGLISH,
)  # fmt: skip

_GERMAN: Final = Language(
    "de",
    ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
    (
        "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
        "Dezember",
    ),
    "{weekday}, {day}. {month} {year}",
    {
        "subject-invited": "Einladung: {title}",
        "subject-updated": "Geändert: {title}",
        "subject-cancelled": "Abgesagt: {title}",
        "subject-added": "Weiterer Termin: {title}",
        "subject-published": "{title}",
        "subject-replied": "Antwort: {title}",
        "subject-accepted": "Zugesagt: {title}",
        "subject-declined": "Abgelehnt: {title}",
        "subject-tentative": "Vielleicht: {title}",
        "subject-delegated": "Weitergegeben: {title}",
        "subject-refresh": "Bitte noch einmal senden: {title}",
        "subject-counter": "Anderer Termin vorgeschlagen: {title}",
        "subject-declined-counter": "Vorschlag abgelehnt: {title}",
        "invited": "{name} lädt Sie ein.",
        "updated": "{name} hat diese Einladung geändert.",
        "cancelled": "{name} hat dies abgesagt.",
        "taken-off": "{name} hat Sie von der Teilnehmerliste genommen.",
        "added": "{name} hat der Einladung einen weiteren Termin hinzugefügt.",
        "published": "{name} schickt Ihnen dies für Ihren Kalender.",
        "replied": "{name} hat geantwortet.",
        "accepted": "{name} hat zugesagt.",
        "declined": "{name} hat abgelehnt.",
        "tentative": "{name} kommt vielleicht.",
        "delegated": "{name} hat jemand anderen gebeten teilzunehmen.",
        "refresh": "{name} bittet Sie, diese Einladung noch einmal zu senden.",
        "counter": "{name} schlägt eine Änderung vor.",
        "declined-counter": "{name} hat Ihren Vorschlag abgelehnt; es bleibt, wie es war.",
        "changed": "Geändert: {labels}.",
        "was": "bisher: {text}",
        "nothing": "nichts",
        "untitled": "(ohne Titel)",
        "somebody": "Jemand",
        "title": "Was",
        "when": "Wann",
        "due": "Fällig",
        "repeats": "Wiederholung",
        "where": "Wo",
        "link": "Link",
        "organizer": "Organisiert von",
        "attendees": "Teilnehmer",
        "comment": "Kommentar",
        "description": "Beschreibung",
        "and-more": "und {n} weitere",
        "more-dates": "… und {n} weitere Termine: siehe Kalender.",
        "every-yearly": "jedes Jahr",
        "every-monthly": "jeden Monat",
        "every-weekly": "jede Woche",
        "every-daily": "jeden Tag",
        "every-hourly": "jede Stunde",
        "every-minutely": "jede Minute",
        "every-secondly": "jede Sekunde",
        "every-n-yearly": "alle {n} Jahre",
        "every-n-monthly": "alle {n} Monate",
        "every-n-weekly": "alle {n} Wochen",
        "every-n-daily": "alle {n} Tage",
        "every-n-hourly": "alle {n} Stunden",
        "every-n-minutely": "alle {n} Minuten",
        "every-n-secondly": "alle {n} Sekunden",
        "on-days": "am {days}",
        "times": "{n} Mal",
        "until": "bis {date}",
        "accept": "Zusagen",
        "maybe": "Vielleicht",
        "decline": "Ablehnen",
        "propose": "Anderen Termin vorschlagen",
        "how-to-answer": "Zum Antworten öffnen Sie die angehängte Einladung in Ihrem Kalender oder nutzen Sie die "
        "Schaltflächen, die Ihr Mailprogramm dafür zeigt.",
    }
    | pagewording.GERMAN,
)  # fmt: skip

LANGUAGES: Final[Mapping[str, Language]] = {one.tag: one for one in (_ENGLISH, _GERMAN)}


def language(tags: Iterable[str]) -> Language:
    """The first of ``tags`` (RFC 5646) that is known here, by its primary language; else the default."""
    for tag in tags:
        found = LANGUAGES.get(tag.strip().replace("_", "-").partition("-")[0].lower())
        if found is not None:
            return found
    return LANGUAGES[DEFAULT]
