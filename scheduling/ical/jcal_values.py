"""Values in jCal: of each value type, from the raw text of iCalendar to JSON and back.

Owns RFC 7265 3.6 and, for recurrence rules, RFC 7529 9. Which type a property has is in ``valuetypes``, everything
around the values in ``jcal``.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from scheduling.ical.lines import escape, is_name, text

if TYPE_CHECKING:
    from collections.abc import Callable

#: JSON: None, bool, int, float, str, list and dict. Written as Any, since every step looks at what it has got.
Json = Any

_NUMBER: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?", re.ASCII)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}", re.ASCII)  # the padding is not always what it should be
_DATE_OR_TIME: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(?:[Tt](\d\d)(\d\d)(\d\d)([Zz]?))?", re.ASCII)
_JSON_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_JSON_DATE_TIME: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(Z?)", re.ASCII)
_TIME: Final = re.compile(r"(\d\d)(\d\d)(\d\d)([Zz]?)", re.ASCII)
_JSON_TIME: Final = re.compile(r"(\d\d):(\d\d):(\d\d)(Z?)", re.ASCII)
_OFFSET: Final = re.compile(r"([+-]\d\d)(\d\d)(\d\d)?", re.ASCII)
_JSON_OFFSET: Final = re.compile(r"([+-]\d\d):(\d\d)(?::(\d\d))?", re.ASCII)
_DURATION: Final = re.compile(r"[+-]?P(?=[\dT])(?:\d+W)?(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+S)?)?", re.ASCII)
_RULE_PART: Final = re.compile(r"[^;,=\s]+")
_MONTH: Final = re.compile(r"\d{1,2}L", re.ASCII)  # RFC 7529 4.2

#: The types that are told apart by the form of the text, whatever VALUE says.
TIMED: Final = frozenset({"date", "date-time", "duration", "period"})


def _match(pattern: re.Pattern[str], raw: str) -> re.Match[str]:
    match = pattern.fullmatch(raw)
    if match is None:
        raise ValueError(f'"{raw[:40]}" does not fit the type')
    return match


def _read_integer(raw: str) -> int:
    return int(_match(_NUMBER, raw.strip())[0])


def _read_float(raw: str) -> float:
    return float(_match(_DECIMAL, raw.strip())[0])


def _read_boolean(raw: str) -> bool:
    if raw.strip().upper() not in {"TRUE", "FALSE"}:
        raise ValueError(f'"{raw[:40]}" is neither TRUE nor FALSE')
    return raw.strip().upper() == "TRUE"


def _read_binary(raw: str) -> str:
    return _match(_BASE64, raw.strip())[0]


def _read_date_or_time(raw: str) -> str:
    year, month, day, hour, minute, second, utc = _match(_DATE_OR_TIME, raw.strip()).groups()
    date = f"{year}-{month}-{day}"
    return date if hour is None else f"{date}T{hour}:{minute}:{second}{utc.upper()}"


def _read_duration(raw: str) -> str:
    return _match(_DURATION, raw.strip().upper())[0]


def _read_period(raw: str) -> list[str]:
    start, slash, end = raw.partition("/")
    if not slash:
        raise ValueError(f'"{raw[:40]}" is no period')
    return [_read_date_or_time(start), _read_duration(end) if "P" in end.upper() else _read_date_or_time(end)]


def _read_time(raw: str) -> str:
    hour, minute, second, utc = _match(_TIME, raw.strip()).groups()
    return f"{hour}:{minute}:{second}{utc.upper()}"


def _read_offset(raw: str) -> str:
    hour, minute, second = _match(_OFFSET, raw.strip()).groups()
    return f"{hour}:{minute}" if second is None else f"{hour}:{minute}:{second}"


def _read_rule(raw: str) -> dict[str, Json]:
    """RFC 7265 3.6.10, with RFC 7529 9."""
    found: dict[str, Json] = {}
    for part in raw.split(";"):
        name, equals, value = part.strip().partition("=")
        key = name.lower()
        if not equals or not is_name(name) or key in found:
            raise ValueError(f'"{part[:40]}" is no part of a rule')
        values = value.split(",")
        if not all(map(_RULE_PART.fullmatch, values)):
            raise ValueError(f'"{part[:40]}" is no part of a rule')
        made = [_read_rule_value(key, one) for one in values]
        found[key] = made if len(made) > 1 else made[0]
    return found


def _read_rule_value(key: str, value: str) -> Json:
    if key == "until":
        return _read_date_or_time(value)
    if key == "bymonth" and _MONTH.fullmatch(value):
        return value
    if key in {"count", "interval"} or (key.startswith("by") and key != "byday"):
        return _read_integer(value)
    return value


def string(value: Json) -> str:
    """``value``, which must be a string. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("This is to be a string")  # noqa: TRY004 (one exception for all that does not fit)
    return value


def _write_integer(value: Json) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1 or abs(value) >= 10**18:
        raise ValueError("This is to be a whole number")
    return str(int(value))


def _write_float(value: Json) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 1e18:
        raise ValueError("This is to be a number")
    return f"{Decimal(repr(value)):f}"


def _write_boolean(value: Json) -> str:
    if not isinstance(value, bool):
        raise ValueError("This is to be true or false")  # noqa: TRY004
    return "TRUE" if value else "FALSE"


def _write_binary(value: Json) -> str:
    return _match(_BASE64, string(value))[0]


def _write_date(value: Json) -> str:
    return "".join(_match(_JSON_DATE, string(value)).groups())


def _write_date_time(value: Json) -> str:
    *date, hour, minute, second, utc = _match(_JSON_DATE_TIME, string(value)).groups()
    return f"{''.join(date)}T{hour}{minute}{second}{utc}"


def _write_date_or_time(value: Json) -> str:
    return _write_date_time(value) if "T" in string(value) else _write_date(value)


def _write_duration(value: Json) -> str:
    return _match(_DURATION, string(value))[0]


def _write_period(value: Json) -> str:
    """RFC 7265 3.6.9 has an array of two strings, its appendix B.2.2 one string with a slash."""
    parts = value.split("/") if isinstance(value, str) else value
    if not isinstance(parts, list) or len(parts) != 2:
        raise ValueError("A period is an array of its start and its end")
    end = _write_duration(parts[1]) if "P" in string(parts[1]) else _write_date_or_time(parts[1])
    return f"{_write_date_or_time(parts[0])}/{end}"


def _write_time(value: Json) -> str:
    return "".join(_match(_JSON_TIME, string(value)).groups())


def _write_offset(value: Json) -> str:
    return "".join(part or "" for part in _match(_JSON_OFFSET, string(value)).groups())


def _write_rule(value: Json) -> str:
    if not isinstance(value, dict) or not value:
        raise ValueError("A recurrence rule is an object")
    parts = []
    for key, given in value.items():
        if not is_name(key):
            raise ValueError(f'"{key[:40]}" is no name of a part of a rule')
        values = given if isinstance(given, list) and given else [given]
        parts.append(f"{key.upper()}={','.join(_write_rule_value(key, one) for one in values)}")
    return ";".join(parts)


def _write_rule_value(key: str, value: Json) -> str:
    if key.lower() == "until":
        return _write_date_or_time(value)
    return _match(_RULE_PART, value)[0] if isinstance(value, str) else _write_integer(value)


def _as_it_is(raw: str) -> str:
    return raw


#: By type: from raw text to JSON, and back. Each raises ValueError where a value does not fit; types that are not here,
#: ``unknown`` among them, go over as they are.
TYPES: Final[dict[str, tuple[Callable[[str], Json], Callable[[Json], str]]]] = {
    "binary": (_read_binary, _write_binary),  # 3.6.1
    "boolean": (_read_boolean, _write_boolean),  # 3.6.2
    "cal-address": (_as_it_is, string),  # 3.6.3
    "date": (_read_date_or_time, _write_date),  # 3.6.4
    "date-time": (_read_date_or_time, _write_date_time),  # 3.6.5
    "duration": (_read_duration, _write_duration),  # 3.6.6
    "float": (_read_float, _write_float),  # 3.6.7
    "integer": (_read_integer, _write_integer),  # 3.6.8
    "period": (_read_period, _write_period),  # 3.6.9
    "recur": (_read_rule, _write_rule),  # 3.6.10
    "text": (text, lambda value: escape(string(value))),  # 3.6.11
    "time": (_read_time, _write_time),  # 3.6.12
    "uri": (_as_it_is, string),  # 3.6.13
    "utc-offset": (_read_offset, _write_offset),  # 3.6.14
}


def form_of(raw: str) -> str:
    """The type among ``TIMED`` whose form ``raw`` has."""
    if "/" in raw:
        return "period"
    match = _DATE_OR_TIME.fullmatch(raw.strip())
    if match is None:
        return "duration"
    return "date" if match[4] is None else "date-time"
