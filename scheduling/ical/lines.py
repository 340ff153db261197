"""Content lines: scanning iCalendar text into components, and editing it without disturbing what is not edited.

Owns RFC 5545 3.1 (content lines, folding, parameters), 3.3.11 (escaping of TEXT), 3.4 and 3.6 (the nesting of
components) and RFC 6868 (``^n``, ``^^`` and ``^'`` in parameter values). What the lines *mean* is elsewhere:
``validate`` (may it be stored?), ``jcal``, ``digest``, ``recurrence``.

What RFC 5545 does not allow and is read all the same, because files in the wild have it:

- line ends LF, CR CR LF, or CR alone where the text has no LF at all; blank lines; a byte order mark;
- a fold in the middle of a UTF-8 sequence (RFC 5545 3.1 says that writers do this) and a blank line before a
  continuation line;
- a parameter without ``=`` (vCard 2.1 habit): its value is the empty text;
- white space before the first line (text pasted with its indentation);
- ``_`` and ``.`` in names; control characters inside values, except NUL.

NUL and bytes that are not UTF-8 are errors with their line number: no XML answer could carry them, and not every
database.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

Params = tuple[tuple[str, tuple[str, ...]], ...]

FOLD_OCTETS: Final = 75  # RFC 5545 3.1: lines SHOULD NOT be longer, line break excluded


class ICalendarError(ValueError):
    """The text is not the iCalendar it should be.

    ``message`` is a sentence for a person, ``line`` the 1-based number of the physical line it is about (None: the
    whole text), and ``condition`` the plain name of the precondition of RFC 4791 5.3.2.1 that does not hold.
    """

    def __init__(self, message: str, line: int | None = None, condition: str = "valid-calendar-data") -> None:
        super().__init__(message, line, condition)
        self.message = message
        self.line = line
        self.condition = condition

    def __str__(self) -> str:
        return self.message if self.line is None else f"Line {self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much text is read: ``size`` in bytes, ``lines`` in content lines, ``depth`` in nested components."""

    size: int = 10 * 1024 * 1024
    lines: int = 200_000
    depth: int = 10


#: One calendar object resource.
OBJECT_LIMITS: Final = Limits()
#: A whole exported calendar, which an administrator imports.
STREAM_LIMITS: Final = Limits(size=512 * 1024 * 1024, lines=20_000_000)


#: Parameters of one content line, and values of one parameter: each takes a hundred times the memory of its text.
MAX_PARAMS: Final = 200
MAX_PARAM_VALUES: Final = 2000


# Not frozen, because making one is then four times as fast, and scanning as a whole a quarter faster.
@dataclass(slots=True, unsafe_hash=True)
class ContentLine:
    """One unfolded content line (RFC 5545 3.1). Nobody changes one: ``dataclasses.replace`` makes another.

    ``name`` and the names in ``params`` are upper-cased; parameter values have their quotes removed and RFC 6868
    decoded; ``value`` is as in the text (still escaped). ``line`` is the 1-based number of the first physical line;
    ``start`` and ``end`` are byte offsets of the physical lines in the source, the line end included. A line that was
    made (``make``) has 0 in all three.
    """

    name: str
    params: Params
    value: str
    line: int = 0
    start: int = 0
    end: int = 0

    def param(self, name: str) -> str | None:
        """The first value of the parameter ``name`` (upper case), None where it is absent."""
        for key, values in self.params:
            if key == name:
                return values[0]
        return None

    @classmethod
    def make(cls, name: str, value: str, params: Mapping[str, str | Sequence[str]] | None = None) -> ContentLine:
        """A new line. ``value`` is the raw value: TEXT must have been through ``escape``.

        Raises ValueError for a line break or NUL in the value, or a name that is none.
        """
        if not is_name(name):
            raise ValueError(f"not a property name: {name!r}")
        if _NOT_IN_LINE.search(value):
            raise ValueError(f"a line break in the raw value of {name}")
        made = tuple(
            (key.upper(), (one,) if isinstance(one, str) else tuple(one)) for key, one in (params or {}).items()
        )
        return cls(name.upper(), made, value)


@dataclass(slots=True)
class Component:
    """One component with its properties and the components in it, each in the order of the text.

    ``line`` is that of BEGIN; ``start`` and ``end`` are the byte offsets from BEGIN to behind the line end of END;
    ``body`` is the offset just behind the BEGIN line.
    """

    name: str
    properties: list[ContentLine] = field(default_factory=list)
    components: list[Component] = field(default_factory=list)
    line: int = 0
    start: int = 0
    end: int = 0
    body: int = 0

    def first(self, name: str) -> ContentLine | None:
        """The first property called ``name`` (upper case)."""
        for line in self.properties:
            if line.name == name:
                return line
        return None

    def all(self, name: str) -> list[ContentLine]:
        """Every property called ``name`` (upper case), in the order of the text."""
        return [line for line in self.properties if line.name == name]

    def walk(self) -> Iterator[Component]:
        """This component and all in it, depth first, in the order of the text."""
        yield self
        for inner in self.components:
            yield from inner.walk()


# --- scanning --------------------------------------------------------------------------------------------------------

# One logical line: a physical line and the continuation lines after it. Possessive, so that time is linear in the text.
_LOGICAL_LF: Final = re.compile(rb"[^\n]*+(?:\n[\r\n]*+[ \t][^\n]*+)*+(?:\n|\Z)")
_LOGICAL_CR: Final = re.compile(rb"[^\r]*+(?:\r+[ \t][^\r]*+)*+(?:\r|\Z)")
_OPENING: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*")  # a byte order mark, and white space before the first line
_FOLD: Final = re.compile(rb"[\r\n]+[ \t]")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_NOT_IN_LINE: Final = re.compile(r"[\r\n\0]")
_HEAD: Final = re.compile(r'([^:"]*(?:"[^"]*"[^:"]*)*):')
_PARAM_VALUE: Final = r'(?:"[^"]*"|[^",;]*)'
_PARAM: Final = re.compile(rf';([^=;,"]+)(?:=({_PARAM_VALUE}(?:,{_PARAM_VALUE})*))?(?=;|\Z)')
_ONE_VALUE: Final = re.compile(r'(?:^|,)(?:"([^"]*)"|([^",]*))')
_CARET: Final = re.compile(r"\^([n^'])")
_CARET_MEANS: Final = {"n": "\n", "^": "^", "'": '"'}  # RFC 6868 3.2
_CACHED_HEAD: Final = 160  # longer heads are not remembered, so that the cache stays small


def parse(data: bytes, *, limits: Limits = OBJECT_LIMITS) -> Component:
    """The one VCALENDAR that ``data`` is.

    Raises ICalendarError where it is not exactly one VCALENDAR, or larger than ``limits``.
    """
    found = parse_stream(data, limits=limits)
    if len(found) != 1:
        if not found:
            raise ICalendarError("There is no BEGIN:VCALENDAR in this text.")
        raise ICalendarError("A second VCALENDAR begins here; one text holds one.", found[1].line)
    return found[0]


def parse_stream(data: bytes, *, limits: Limits = STREAM_LIMITS) -> list[Component]:
    """Every VCALENDAR in ``data``, in order (RFC 5545 3.4: an iCalendar stream may hold several)."""
    head = _head_of(data)
    opened = _opened if len(head) < _SHORT_HEAD else _opened_long
    known = opened(head) if head else None
    if known is None or known.lines > limits.lines or limits.depth < _HEAD_DEPTH:
        return _closed(_nested(scan(data, limits=limits), limits, []))
    _check_whole(data, b"\n", limits)
    one = known.calendar
    calendar = Component(one.name, [*one.properties], [*one.components], one.line, one.start, one.end, one.body)
    at = _Place(len(head), known.next_line, known.lines)
    return _closed(_nested(_lines(data, _LOGICAL_LF, b"\n", at, limits, None), limits, [calendar]))


def _closed(nested: tuple[list[Component], list[Component]]) -> list[Component]:
    found, still_open = nested
    if still_open:
        raise ICalendarError(f"The text ends before END:{_excerpt(still_open[-1].name)}.", still_open[-1].line)
    return found


def _nested(
    items: Iterable[ContentLine], limits: Limits, begun: list[Component]
) -> tuple[list[Component], list[Component]]:
    """The outermost components, and those of all depths that are not closed. ``begun`` is one that was open before."""
    found: list[Component] = [*begun]
    stack: list[Component] = [*begun]
    for item in items:
        if item.name == "BEGIN":
            name = item.value.strip().upper()
            if not is_name(name):
                raise ICalendarError(f'"{_excerpt(name)}" is no name of a component.', item.line)
            if not stack and name != "VCALENDAR":
                raise ICalendarError(f"BEGIN:{_excerpt(name)} stands outside of any VCALENDAR.", item.line)
            if len(stack) >= limits.depth:
                raise ICalendarError(f"Components are nested more than {limits.depth} deep.", item.line)
            opened = Component(name, [], [], item.line, item.start, item.end, item.end)
            (stack[-1].components if stack else found).append(opened)
            stack.append(opened)
        elif item.name == "END":
            name = item.value.strip().upper()
            if not stack:
                raise ICalendarError(f"END:{_excerpt(name)} without its BEGIN.", item.line)
            closed = stack.pop()
            if closed.name != name:
                raise ICalendarError(
                    f"END:{_excerpt(name)} where END:{_excerpt(closed.name)} is due (begun in line {closed.line}).",
                    item.line,
                )
            closed.end = item.end
        elif stack:
            stack[-1].properties.append(item)
        else:
            raise ICalendarError(f"The property {_excerpt(item.name)} stands outside of any component.", item.line)
    return found, stack


# What a client writes before each of its objects, up to the end of the first VTIMEZONE, is read once: the same bytes at
# the same place are the same lines. Nobody changes a component, so the objects of a client share that of their zone.

_ANY_BEGINS: Final = b"\nBEGIN:"
_ZONE_BEGINS: Final = b"\nBEGIN:VTIMEZONE"
_ZONE_ENDS: Final = b"\nEND:VTIMEZONE"
#: Thunderbird's zones have all changes since 1970: 14 KB, and 130 KB of memory as lines, so that fewer are kept.
_LONGEST_HEAD: Final = 16_000
_SHORT_HEAD: Final = 4_000
_HEAD_DEPTH: Final = 3  # VCALENDAR, VTIMEZONE, STANDARD


@dataclass(frozen=True, slots=True)
class _Opened:
    """A VCALENDAR that is not closed yet, the lines that were read of it, and the number of the next physical one."""

    calendar: Component
    lines: int
    next_line: int


def _head_of(data: bytes) -> bytes:
    """The beginning of ``data`` up to the line behind its first VTIMEZONE; empty where anything else begins before."""
    place = data.find(_ZONE_ENDS, 0, _LONGEST_HEAD)
    if place < 0:
        return b""
    end = data.find(b"\n", place + len(_ZONE_ENDS)) + 1
    # A line that begins with white space would belong to it.
    is_whole = data[place + len(_ZONE_ENDS) : end] in (b"\n", b"\r\n") and data[end : end + 1].isalpha()
    is_first = data.startswith(_ZONE_BEGINS, data.find(_ANY_BEGINS, 0, place))
    return data[:end] if is_whole and is_first else b""


def _open(head: bytes) -> _Opened | None:
    """What ``head`` opens; ``None`` where that is something else than one VCALENDAR, or where it holds an error."""
    try:
        items = list(scan(head))
        found, still_open = _nested(items, OBJECT_LIMITS, [])
    except ICalendarError:
        return None
    if (
        len(found) != 1
        or len(still_open) != 1
        or any(part.components for zone in found[0].components for part in zone.components)
    ):
        return None
    return _Opened(found[0], len(items), 1 + head.count(b"\n"))


_opened = lru_cache(maxsize=256)(_open)
_opened_long = lru_cache(maxsize=32)(_open)


def scan(
    data: bytes,
    *,
    limits: Limits = OBJECT_LIMITS,
    on_fault: Callable[[ICalendarError, int, int], None] | None = None,
) -> Iterator[ContentLine]:
    """The content lines of ``data``, unfolded, BEGIN and END among them.

    Raises ICalendarError at the first line that is none; or, with ``on_fault``, calls it with the error and the byte
    offsets of that line, and goes on.
    """
    pattern, eol = (_LOGICAL_LF, b"\n") if b"\n" in data else (_LOGICAL_CR, b"\r")
    _check_whole(data, eol, limits)
    opening = _OPENING.match(data)
    start = opening.end() if opening else 0
    return _lines(data, pattern, eol, _Place(start, 1 + data.count(eol, 0, start), 0), limits, on_fault)


def _check_whole(data: bytes, eol: bytes, limits: Limits) -> None:
    if len(data) > limits.size:
        raise ICalendarError(
            f"The text has {len(data)} bytes; the limit is {limits.size}.", condition="max-resource-size"
        )
    if b"\0" in data:
        raise ICalendarError("There is a NUL character in this line.", data.count(eol, 0, data.index(b"\0")) + 1)


class _Place(NamedTuple):
    """Where scanning begins: the offset, the number of the physical line there, and the content lines before it."""

    start: int
    line: int
    before: int


def _lines(
    data: bytes,
    pattern: re.Pattern[bytes],
    eol: bytes,
    place: _Place,
    limits: Limits,
    on_fault: Callable[[ICalendarError, int, int], None] | None,
) -> Iterator[ContentLine]:
    start, number, count = place
    for match in pattern.finditer(data, start):
        raw = match[0]
        breaks = raw.count(eol)
        here, number = number, number + breaks
        if breaks > 1 or (breaks and raw[-1:] != eol):
            raw = unfold(raw)
        count += 1
        if count > limits.lines:
            raise ICalendarError(f"The text has more than {limits.lines} lines.", here, condition="max-resource-size")
        try:
            text = raw.decode().rstrip("\r\n")
            head, colon, value = text.partition(":")
            if '"' in head:
                head, value = _cut_head(text)
            elif not colon and (not text or text.isspace()):
                continue
            elif not colon:
                raise ValueError("has no colon")
            name, params = _known_head(head) if len(head) < _CACHED_HEAD else _read_head(head)
        except ValueError as problem:
            error = _no_content_line(raw, problem, here)
            if on_fault is None:
                raise error from None
            on_fault(error, match.start(), match.end())
        else:
            yield ContentLine(name, params, value, here, match.start(), match.end())


def is_name(text: str) -> bool:
    """Whether ``text`` can be the name of a property or a component (RFC 5545 3.1, with ``_`` and ``.``)."""
    return _NAME.fullmatch(text) is not None


def _no_content_line(raw: bytes, problem: ValueError, line: int) -> ICalendarError:
    if isinstance(problem, UnicodeDecodeError):
        return ICalendarError("This line is not UTF-8.", line)
    text = raw.decode().rstrip("\r\n")
    return ICalendarError(f'This is no content line, it {problem}: "{_excerpt(text)}".', line)


def _cut_head(text: str) -> tuple[str, str]:
    """What stands before and behind the first colon that is in no quotation marks. Raises ValueError."""
    whole = _HEAD.match(text)
    if whole is None:
        raise ValueError("has a quotation mark that is not closed")
    return whole[1], text[whole.end() :]


def _read_head(head: str) -> tuple[str, Params]:
    """Name and parameters of what stands before the colon. Raises ValueError."""
    name, semicolon, _ = head.partition(";")
    if not is_name(name):
        raise ValueError("does not begin with a name")
    if not semicolon:
        return name.upper(), ()
    params: list[tuple[str, tuple[str, ...]]] = []
    at = len(name)
    while at < len(head):
        match = _PARAM.match(head, at)
        if match is None:
            raise ValueError("has parameters that cannot be read")
        key, values = match[1], match[2]
        params.append((key.strip().upper(), _read_values(values or "")))
        if len(params) > MAX_PARAMS or len(params[-1][1]) > MAX_PARAM_VALUES:
            raise ValueError(f"has more than {MAX_PARAMS} parameters, or one with more than {MAX_PARAM_VALUES} values")
        at = match.end()
    return name.upper(), tuple(params)


_known_head = lru_cache(maxsize=2048)(_read_head)


def _read_values(values: str) -> tuple[str, ...]:
    """The comma-separated values of a parameter, without quotes, RFC 6868 decoded."""
    if '"' in values or "," in values:
        found = tuple(quoted or plain for quoted, plain in _ONE_VALUE.findall(values))
    else:
        found = (values,)
    if "^" in values:
        return tuple(_CARET.sub(lambda m: _CARET_MEANS[m[1]], one) for one in found)
    return found


def _excerpt(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


# --- TEXT values (RFC 5545 3.3.11) -----------------------------------------------------------------------------------

_ESCAPED: Final = re.compile(r"\\([\\;,nN])")
_ESCAPES: Final = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n", "\r": "\\n"})
# A backslash takes the next character with it, except where the value ends in a lone one.
_TO_COMMA: Final = re.compile(r"((?:[^\\,]|\\.)*\\?),", re.DOTALL)
_TO_SEMICOLON: Final = re.compile(r"((?:[^\\;]|\\.)*\\?);", re.DOTALL)


def text(value: str) -> str:
    """The text that an escaped TEXT value stands for. A backslash before any other character is kept as it is."""
    if "\\" not in value:
        return value
    return _ESCAPED.sub(lambda m: "\n" if m[1] in "nN" else m[1], value)


def escape(text: str) -> str:
    r"""``text`` as a TEXT value; every kind of line break becomes ``\n``."""
    return text.replace("\r\n", "\n").translate(_ESCAPES)


def split_list(value: str) -> list[str]:
    """The raw values of a comma-separated list (CATEGORIES, EXDATE …), cut at commas that are not escaped."""
    if "\\" not in value:
        return value.split(",")
    return _TO_COMMA.findall(value + ",")


def split_fields(value: str) -> list[str]:
    """The raw parts of a structured value (REQUEST-STATUS, GEO, RRULE …), cut at semicolons that are not escaped."""
    if "\\" not in value:
        return value.split(";")
    return _TO_SEMICOLON.findall(value + ";")


# --- printing --------------------------------------------------------------------------------------------------------

_QUOTED: Final = re.compile(r"[:;,]")
_CARETS: Final = str.maketrans({"^": "^^", "\n": "^n", '"': "^'", "\r": None})  # RFC 6868 3.1


def line_text(line: ContentLine) -> str:
    """``line`` as one unfolded line of text, without line end."""
    head = line.name
    for key, values in line.params:
        head += f";{key}={','.join(map(_param_text, values))}"
    return f"{head}:{line.value}"


def _param_text(value: str) -> str:
    coded = value.replace("\r\n", "\n").translate(_CARETS)
    return f'"{coded}"' if _QUOTED.search(coded) else coded


def fold(text: str, *, eol: bytes = b"\r\n") -> bytes:
    """``text`` as physical lines of at most 75 octets (RFC 5545 3.1), never cutting a UTF-8 sequence, with line end."""
    raw = text.encode()
    if len(raw) <= FOLD_OCTETS:
        return raw + eol
    parts = []
    at, room = 0, FOLD_OCTETS
    while len(raw) - at > room:
        cut = at + room
        while raw[cut] & 0xC0 == 0x80:  # a continuation byte of UTF-8
            cut -= 1
        parts.append(raw[at:cut])
        at, room = cut, FOLD_OCTETS - 1  # the space that marks a continuation counts
    parts.append(raw[at:])
    return (eol + b" ").join(parts) + eol


def render(component: Component, *, eol: bytes = b"\r\n") -> bytes:
    """``component`` printed afresh: folded at 75 octets, names in upper case."""
    return b"".join(_rendered(component, eol))


def _rendered(component: Component, eol: bytes) -> Iterator[bytes]:
    yield fold(f"BEGIN:{component.name}", eol=eol)
    for line in component.properties:
        yield fold(line_text(line), eol=eol)
    for inner in component.components:
        yield from _rendered(inner, eol)
    yield fold(f"END:{component.name}", eol=eol)


# --- editing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes ``start`` to ``end`` of the source give way to ``new``; a text among them is an unfolded line.

    Made by ``replace``, ``amend``, ``remove`` and the ``insert…`` functions.
    """

    start: int
    end: int
    new: tuple[ContentLine | Component | str, ...] = ()


def replace(old: ContentLine | Component, *new: ContentLine | Component) -> Edit:
    """``old`` gives way to ``new``."""
    return Edit(old.start, old.end, new)


def amend(
    source: bytes, old: ContentLine, params: Mapping[str, str | Sequence[str] | None], *, value: str | None = None
) -> Edit:
    """``old`` with the parameters in ``params`` set (None: taken away) and, where given, another raw value.

    The other parameters stay in the order, the case and the quotes in which the client sent them. Raises ValueError for
    a line break or NUL in the value.
    """
    if value is not None and _NOT_IN_LINE.search(value):
        raise ValueError(f"a line break in the raw value of {old.name}")
    raw = unfold(source[old.start : old.end]).decode().rstrip("\r\n")
    whole = _HEAD.match(raw)
    if whole is None:
        raise ValueError(f"there is no content line at byte {old.start}")
    head = whole[1]
    for name, given in params.items():
        values = (given,) if isinstance(given, str) else given
        new = "" if values is None else f";{name}={','.join(map(_param_text, values))}"
        for match in _PARAM.finditer(head, head.find(";") if ";" in head else len(head)):
            if match[1].strip().upper() == name.upper():
                head = head[: match.start()] + new + head[match.end() :]
                break
        else:
            head += new
    return Edit(old.start, old.end, (f"{head}:{raw[whole.end() :] if value is None else value}",))


def remove(old: ContentLine | Component) -> Edit:
    """``old`` goes, with its line end."""
    return Edit(old.start, old.end)


def insert_properties(into: Component, *new: ContentLine) -> Edit:
    """``new`` become the last properties of ``into``, before the components in it (RFC 5545 3.6.1: alarms last)."""
    bound = into.components[0].start if into.components else into.end
    at = max((line.end for line in into.properties if line.end <= bound), default=into.body)
    return Edit(at, at, new)


def edit(source: bytes, edits: Iterable[Edit]) -> bytes:
    """``source`` with ``edits`` made, every other byte as it was. New lines take the line end of the first line.

    Edits at the same place are made in the order given. Raises ValueError where two of them overlap.
    """
    eol = line_end(source)
    parts: list[bytes] = []
    at = 0
    for one in sorted(edits, key=lambda e: (e.start, e.end)):
        if one.start < at:
            raise ValueError("two edits of the same lines")
        parts.append(source[at : one.start])
        if one.new and one.start == len(source) and source[-1:] not in (b"\n", b"\r", b""):
            parts.append(eol)  # the line before it was the last one and had no line end
        parts += [_printed(item, eol) for item in one.new]
        at = one.end
    parts.append(source[at:])
    return b"".join(parts)


def _printed(item: ContentLine | Component | str, eol: bytes) -> bytes:
    if isinstance(item, Component):
        return render(item, eol=eol)
    return fold(item if isinstance(item, str) else line_text(item), eol=eol)


_LF: Final = re.compile(rb"\r*\n")


def with_crlf(source: bytes) -> bytes:
    """``source`` with CRLF behind each of its lines, of which there are as many as before (RFC 5545 3.1)."""
    if b"\n" not in source:
        return source.replace(b"\r", b"\r\n")
    if source.count(b"\n") == source.count(b"\r\n") and b"\r\r" not in source:
        return source
    return _LF.sub(b"\r\n", source)


def unfold(source: bytes) -> bytes:
    """``source`` without its folds (RFC 5545 3.1)."""
    return _FOLD.sub(b"", source)


def line_end(source: bytes) -> bytes:
    """The line end of the first line of ``source``; CRLF where it has none."""
    at = source.find(b"\n")
    if at < 0:
        return b"\r" if b"\r" in source else b"\r\n"
    return b"\r\n" if source[at - 1 : at] == b"\r" else b"\n"
