"""A link to somebody's free/busy time: ``/freebusy/TOKEN``, for people and programs without an account here.

``caldavd user freebusy-url`` opens it; who has the link sees when that person is busy, and nothing else. How much time
is told can be asked for as programs do: ``start`` with ``end``, ``period`` or ``days`` (the names are those of the
CalConnect recommendation "Freebusy Read URL", CD 0903). Without them it is from today on, for six weeks.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from threading import Lock
from time import monotonic
from typing import Final

from caldavd.errors import DavError, bad_request, not_found
from caldavd.public import Method, Public, Space
from caldavd.response import Response
from scheduling.freebusy import vfreebusy
from scheduling.freebusy.links import PURPOSE, is_token, principal_in
from scheduling.ical.lines import ContentLine, ICalendarError
from scheduling.ical.values import DAY, duration
from storage.rows import Principal

_USUAL_DAYS: Final = 42
#: The longest time that is told, and how far from now it may begin: a link is no archive.
MOST_DAYS: Final = 400
_REACH: Final = 10 * 366 * DAY
#: What calendar programs put behind the token, so that the address looks like a file.
_SUFFIXES: Final = (".ifb", ".vfb", ".ics")
#: Answers to one address, and about one person, within a minute.
MOST_A_MINUTE: Final = 120
_DATE_TIME: Final = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):?(\d\d):?(\d\d)?(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?)?")


class Rate:
    """How often something was done in the last minute or so, by key; for one process, since it only guards its time."""

    def __init__(self, most: int, *, clock: Callable[[], float] = monotonic, kept: int = 10_000) -> None:
        self._most = most
        self._clock = clock
        self._kept = kept
        self._lock = Lock()
        #: ``{key: what is left, as of when}``; it fills up again evenly.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> bool:
        """Counts one; False: it is too often."""
        now = self._clock()
        with self._lock:
            left, at = self._left.pop(key, (float(self._most), now))
            left = min(float(self._most), left + (now - at) * self._most / 60)
            self._left[key] = (left - 1 if left >= 1 else left, now)
            while len(self._left) > self._kept:
                self._left.popitem(last=False)
            return left >= 1


RATE: Final = Rate(MOST_A_MINUTE)


def run(public: Public) -> Response:
    """200 with a VFREEBUSY (RFC 5546 section 3.3.1); 404 for every link that is not, or no longer, one."""
    if not RATE.take(f"address {public.request.remote_address}"):
        raise _too_often()
    who = _who(public)
    if not RATE.take(f"principal {who.id}"):
        raise _too_often()
    start, end = asked(public.request.query, public.tx.now)
    found = public.freebusy.busy_times(public.tx, [who], start, end, epoch=public.store.epoch)[who.id]
    if not found.complete:
        raise DavError(507, "There is too much in these calendars for an answer about so long a time: ask for less.")
    body = vfreebusy.answer(
        found.periods,
        start,
        end,
        now=public.tx.now,
        uid=_uid(public),
        method="PUBLISH",
        properties=[ContentLine.make("ORGANIZER", _address(public, who))],
    )
    headers = {"Content-Type": "text/calendar; charset=utf-8", "Content-Disposition": 'inline; filename="freebusy.ifb"'}
    return Response(200, headers, body)


def _too_often() -> DavError:
    return DavError(429, "That was asked too often: wait a minute.", headers={"Retry-After": "60"})


def _who(public: Public) -> Principal:
    token = public.names[0] if len(public.names) == 1 else ""
    token = next((token.removesuffix(one) for one in _SUFFIXES if token.endswith(one)), token)
    principal_id = principal_in(token)
    serial = public.tx.freebusy_links.serial(principal_id) if principal_id is not None else None
    secret = public.store.secret(PURPOSE)
    if principal_id is not None and serial is not None and is_token(token, secret, principal_id, serial):
        found = public.tx.principals.by_id(principal_id)
        if found is not None:
            return found
    raise not_found("There is no free/busy time behind this link. It may have been replaced, or switched off.")


def asked(query: Mapping[str, str], now: int) -> tuple[int, int]:
    """The time that a query asks for, as instants. Raises 400 with a sentence for what cannot be read or is too much.

    ``now`` is the instant of the request.
    """
    given = {name: value.strip() for name, value in query.items() if value.strip()}
    start = _instant(given["start"], "start") if "start" in given else now // DAY * DAY
    if "end" in given:
        end = _instant(given["end"], "end")
    elif "period" in given:
        end = start + _period(given["period"])
    else:
        end = start + _days(given.get("days", str(_USUAL_DAYS))) * DAY
    if end <= start:
        raise bad_request("The end has to be after the start.")
    if end - start > MOST_DAYS * DAY:
        raise bad_request(f"This link tells at most {MOST_DAYS} days at once: ask for less.")
    if abs(start - now) > _REACH:
        raise bad_request("This link tells nothing of times so far away.")
    return start, end


def _instant(text: str, name: str) -> int:
    # A plus sign that nobody encoded has become a space.
    match = _DATE_TIME.fullmatch(re.sub(r" (\d\d:?\d\d)$", r"+\1", text) if "T" in text else text)
    try:
        if match is None:
            raise ValueError(text)
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        offset = (match[7] or "Z").replace("Z", "+0000").replace(":", "")
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError as error:
        message = f"The {name} has to be a date or a time, such as 2026-03-10 or 2026-03-10T12:00:00Z."
        raise bad_request(message) from error
    east = int(offset[1:3]) * 3600 + int(offset[3:5]) * 60
    return int(at) - (east if offset[0] == "+" else -east)


def _period(text: str) -> int:
    try:
        return max(0, duration(text).total)
    except ICalendarError as error:
        raise bad_request("The period has to be a duration such as P6W or P42D (RFC 5545 section 3.3.6).") from error


def _days(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text):
        raise bad_request("The number of days has to be a number.")
    return int(text)


def _uid(public: Public) -> str:
    """The same for the same link, and nothing that leads back to it."""
    return blake2b(public.names[0].encode(), digest_size=16, person=b"freebusy").hexdigest()


def _address(public: Public, who: Principal) -> str:
    preferred = sorted(who.addresses, key=lambda one: not one.preferred)
    if preferred:
        return preferred[0].uri
    return public.request.base_url + public.router.principal(who.name)


SPACE: Final[Space] = Space({"GET": Method(run)})
