"""jCal, iCalendar in JSON: from components and back.

Owns RFC 7265. The value types of properties are in ``valuetypes``; whether the result may be stored is for
``validate``.

This is not done with the ``icalendar`` package, whose jCal was tried on 195 real files: it fails on 11 of them (values
that do not fit their type), its answer is no JSON for a rule with an unknown part, it cuts REQUEST-STATUS at escaped
semicolons, turns a CREATED that is no date into text, and takes eight times as long.

What of a text goes into jCal is what it means, so that white space, folds, the case of names, the order of components
among properties and the spelling of numbers do not come back as they were. A value that does not fit its type goes over
as ``unknown`` with its raw text (as RFC 7265 5 has it for properties of unknown type), and comes back unchanged; of a
date the form of the text counts, as in appendix B.1 of the RFC, where ``DTSTART:20081006`` becomes a ``date``.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Final

from scheduling.ical.jcal_values import TIMED, TYPES, Json, form_of, string
from scheduling.ical.lines import (
    OBJECT_LIMITS,
    Component,
    ContentLine,
    ICalendarError,
    escape,
    is_name,
    render,
    split_fields,
    split_list,
)
from scheduling.ical.valuetypes import DEFAULT_TYPES, MULTI_VALUED, STRUCTURED

if TYPE_CHECKING:
    from scheduling.ical.lines import Limits

MEDIA_TYPE: Final = "application/calendar+json"  # RFC 7265 7


class JCalError(ICalendarError):
    """The JSON is no jCal; ``path`` says where, as indexes: ``[2][0][1]`` is the properties of the first component."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{message} (at {path})" if path else message)
        self.path = path


def to_json(calendar: Component) -> bytes:
    """``calendar`` as the text of a jCal object, in UTF-8."""
    return json.dumps(to_jcal(calendar), ensure_ascii=False, separators=(",", ":")).encode()


def from_json(data: bytes, *, limits: Limits = OBJECT_LIMITS) -> bytes:
    """The iCalendar text of the jCal object ``data``: one VCALENDAR. Raises JCalError, or ICalendarError for size."""
    if len(data) > limits.size:
        message = f"The text has {len(data)} bytes; the limit is {limits.size}."
        raise ICalendarError(message, condition="max-resource-size")
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except RecursionError:
        raise JCalError("The JSON is nested too deep.") from None
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, and a number of thousands of digits
        raise JCalError(f"The text is no JSON: {error}.") from None
    calendar = from_jcal(value, limits=limits)
    if calendar.name != "VCALENDAR":
        raise JCalError('A jCal object is a "vcalendar" (RFC 7265 3.2).', "[0]")
    try:
        return render(calendar)
    except UnicodeEncodeError:
        raise JCalError("A text holds half of a surrogate pair.") from None


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is no JSON")


# --- from components -------------------------------------------------------------------------------------------------


def to_jcal(component: Component) -> list[Json]:
    """``component`` as lists, dicts, strings and numbers (RFC 7265 3.3), ready for ``json.dumps``."""
    return [
        component.name.lower(),
        [_property_to_jcal(line) for line in component.properties],
        [to_jcal(inner) for inner in component.components],
    ]


def _property_to_jcal(line: ContentLine) -> list[Json]:
    """RFC 7265 3.4."""
    params: dict[str, list[str]] = {}
    for name, values in line.params:
        params.setdefault(name.lower(), []).extend(values)
    declared = params.pop("value", [""])[0].lower()
    kind = declared if is_name(declared) else DEFAULT_TYPES.get(line.name, "unknown")
    try:
        raw = line.value
        if params.get("encoding", [""])[0].upper() == "BASE64":
            kind, raw = _decoded(kind, raw)
            kind, found = _values_to_jcal(line.name, kind, raw)
            del params["encoding"]
        else:
            kind, found = _values_to_jcal(line.name, kind, raw)
    except ValueError:
        kind, found = "unknown", [line.value]
    return [
        line.name.lower(),
        {name: values[0] if len(values) == 1 else values for name, values in params.items()},
        kind,
        *found,
    ]


def _decoded(kind: str, raw: str) -> tuple[str, str]:
    """What ENCODING=BASE64 means (RFC 7265 3.1): binary stays as it is, anything else is decoded.

    ENCODING without VALUE=BINARY on what is a URI otherwise is read as binary, because that is what Outlook means.
    """
    if kind in {"binary", "uri"}:
        return "binary", raw
    try:
        decoded = base64.b64decode(raw, validate=True).decode()
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    return (kind, escape(decoded)) if kind == "text" else (kind, decoded)


def _values_to_jcal(name: str, kind: str, raw: str) -> tuple[str, list[Json]]:
    """The type and the values. Raises ValueError where they do not fit."""
    if kind not in TYPES:
        return kind, [raw]
    reader = TYPES[kind][0]
    if name in STRUCTURED and kind == DEFAULT_TYPES[name]:
        parts = [reader(part) for part in split_fields(raw)]
        if name == "GEO" and len(parts) != 2:
            raise ValueError("GEO has two parts")
        return kind, [parts]
    values = split_list(raw) if name in MULTI_VALUED else [raw]
    if kind in TIMED:
        forms = {form_of(value) for value in values}
        if len(forms) != 1:
            raise ValueError("a list of values of different types")
        kind = forms.pop()
        reader = TYPES[kind][0]
    return kind, [reader(value) for value in values]


# --- to components ---------------------------------------------------------------------------------------------------


def from_jcal(value: Json, *, limits: Limits = OBJECT_LIMITS) -> Component:
    """The component that the jCal ``value`` is, made of new lines. Raises JCalError, or ICalendarError for size."""
    return _Reader(limits).component(value, "", 1)


class _Reader:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.lines = 0

    def component(self, value: Json, path: str, depth: int) -> Component:
        """RFC 7265 3.3."""
        if depth > self.limits.depth:
            raise JCalError(f"Components are nested more than {self.limits.depth} deep.", path)
        if not isinstance(value, list) or len(value) != 3:
            raise JCalError("A component is an array of its name, its properties and its components.", path)
        name, properties, components = value
        if not isinstance(name, str) or not is_name(name):
            raise JCalError("This is no name of a component.", f"{path}[0]")
        if not isinstance(properties, list) or not isinstance(components, list):
            raise JCalError("The properties and the components of a component are two arrays.", path)
        self.lines += 2 + len(properties)
        if self.lines > self.limits.lines:
            message = f"There are more than {self.limits.lines} properties."
            raise ICalendarError(message, condition="max-resource-size")
        return Component(
            name.upper(),
            [_property_from_jcal(one, f"{path}[1][{index}]") for index, one in enumerate(properties)],
            [self.component(one, f"{path}[2][{index}]", depth + 1) for index, one in enumerate(components)],
        )


def _property_from_jcal(value: Json, path: str) -> ContentLine:
    """RFC 7265 3.4 and 4."""
    if not isinstance(value, list) or len(value) < 4:
        raise JCalError("A property is an array of its name, its parameters, its type and at least one value.", path)
    name, given, kind, *values = value
    if not isinstance(name, str) or not is_name(name) or name.upper() in {"BEGIN", "END"}:
        raise JCalError("This is no name of a property.", f"{path}[0]")
    name = name.upper()
    params = _params_from_jcal(given, f"{path}[1]")
    if not isinstance(kind, str) or not is_name(kind):
        raise JCalError("This is no name of a type.", f"{path}[2]")
    kind = kind.lower()
    if kind == "binary":
        params = {"ENCODING": ["BASE64"], **params}  # RFC 5545 3.2.7
    if kind not in {"unknown", DEFAULT_TYPES.get(name)}:
        params = {"VALUE": [kind.upper()], **params}
    try:
        return ContentLine.make(name, ",".join(_write(name, kind, one) for one in values), params)
    except ValueError as error:
        raise JCalError(f"The value of {name.lower()} is no {kind}: {error}.", path) from None


def _write(name: str, kind: str, value: Json) -> str:
    writer = TYPES[kind][1] if kind in TYPES else string
    if isinstance(value, list) and kind != "period":
        if name not in STRUCTURED:
            raise ValueError("This property has no value with several parts")
        return ";".join(writer(part) for part in value)
    return writer(value)


def _params_from_jcal(given: Json, path: str) -> dict[str, list[str]]:
    """RFC 7265 3.5."""
    if not isinstance(given, dict):
        raise JCalError("The parameters of a property are an object.", path)
    params: dict[str, list[str]] = {}
    for name, value in given.items():
        values = value if isinstance(value, list) else [value]
        if not is_name(name) or name.upper() == "VALUE" or name.upper() in params:
            raise JCalError(f'"{name[:40]}" is no name of a parameter here (RFC 7265 3.5).', path)
        if not values or not all(isinstance(one, str) and "\0" not in one for one in values):
            raise JCalError(f'The value of the parameter "{name[:40]}" is a string or an array of strings.', path)
        params[name.upper()] = values
    return params
