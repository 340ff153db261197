"""Reads the files of golden requests, sends them to a WSGI application and checks the answers.

The language of the files is described in `golden/README.md`; this module is its only implementation.
"""

from __future__ import annotations

import gzip
import io
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import webob
from lxml import etree

NAMESPACES = {
    "D": "DAV:",
    "C": "urn:ietf:params:xml:ns:caldav",
    "CARD": "urn:ietf:params:xml:ns:carddav",
    "CS": "http://calendarserver.org/ns/",
    "A": "http://apple.com/ns/ical/",
    "ME": "http://me.com/_namespace/",
    "P": "https://bitfire.at/webdav-push",
    "OC": "http://owncloud.org/ns",
    "X": "http://example.org/unheard-of",
}
REPEAT = re.compile(r"\s*\[n=(\d+)\.\.(\d+)\]$")
STATUS = re.compile(r"HTTP/1\.1 ([1-5]\d\d) \S.*")
Application = Callable[..., Iterable[bytes]]


class GoldenFileError(ValueError):
    """The file of golden requests itself is wrong; names the file and the line."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file with its number, for messages."""

    number: int
    text: str


@dataclass(slots=True)
class Step:
    """A request as it stands in the file, and the lines about its answer."""

    line: Line
    headers: list[Line] = field(default_factory=list)
    body: list[Line] = field(default_factory=list)
    statuses: tuple[int, ...] = ()
    expectations: list[Line] = field(default_factory=list)


def read(path: Path) -> list[Step]:
    """The requests of a file.

    Raises GoldenFileError: a request without an expected status, or text where none belongs.
    """
    steps: list[Step] = []
    part = "prologue"
    for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        line = Line(number, text)
        if text.startswith("> "):
            steps.append(Step(Line(number, text[2:])))
            part = "headers"
        elif part != "prologue" and re.match(r"< \d{3}", text):
            steps[-1].statuses = tuple(int(word) for word in text[2:].split())
            part = "expectations"
        elif part == "headers":
            if text:
                steps[-1].headers.append(line)
            else:
                part = "body"
        elif part == "body":
            steps[-1].body.append(line)
        elif text and not text.startswith("#"):
            if part == "prologue":
                raise GoldenFileError(f"{path.name}:{number}: text before the first request begins with #")
            steps[-1].expectations.append(line)
    if not steps or not all(step.statuses for step in steps):
        raise GoldenFileError(f"{path.name}: every request has to be followed by the status that is expected")
    return steps


def repeated(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """A line without its `[n=A..B]`, as often as that says, with the value of n."""
    found = REPEAT.search(text)
    if not found:
        yield text, {}
        return
    for n in range(int(found[1]), int(found[2]) + 1):
        yield text[: found.start()], {"n": str(n)}


def qualified(name: str) -> str:
    """`C:calendar` as `{urn:ietf:params:xml:ns:caldav}calendar`."""
    prefix, _, local = name.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


@dataclass(slots=True)
class Answer:
    """A response of the application, its body decoded, and the multistatus in it."""

    request: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    tree: etree._Element | None = None
    by_href: dict[str, etree._Element] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        """The value of a header; several of one name joined with commas."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    def root(self) -> etree._Element:
        """The root of an XML body."""
        assert self.tree is not None, f"{self}: the body is not XML"
        return self.tree

    def response(self, href: str) -> etree._Element:
        """The response with this href."""
        assert href in self.by_href, f"{self}: no response for {href}, only for {sorted(self.by_href)}"
        return self.by_href[href]

    def property(self, href: str, name: str) -> tuple[int, etree._Element] | None:
        """Status and element of a property of a response."""
        for propstat in self.response(href).iter("{DAV:}propstat"):
            found = propstat.find(f"{{DAV:}}prop/{qualified(name)}")
            if found is not None:
                return status_of(propstat), found
        return None

    def __str__(self) -> str:
        return f"{self.request} -> {self.status}\n{self.body.decode('utf-8', 'replace')[:1500]}\n"


def status_of(element: etree._Element) -> int:
    """The status of a response or propstat, which must be written as clients read it (RFC 4918 14.28)."""
    text = element.findtext("{DAV:}status") or ""
    found = STATUS.fullmatch(text)
    assert found, f"the status is {text!r}, not HTTP/1.1 NNN Reason"
    return int(found[1])


class Player:
    """Plays a file against an application. `account` gives the Authorization header of a name; `symbols` the paths."""

    def __init__(self, application: Application, account: Callable[[str], str], symbols: dict[str, str]) -> None:
        self.application = application
        self.account = account
        self.symbols = dict(symbols)
        self.encodings: dict[str, str] = {}

    def play(self, path: Path) -> None:
        """Send every request of the file and check every answer; AssertionError names file and line."""
        for step in read(path):
            for text, n in repeated(step.line.text):
                answer = self.send(step, text, n)
                where = f"{path.name}:{step.line.number}: "
                assert answer.status in step.statuses, f"{where}{answer.status}, not {step.statuses}\n{answer}"
                if answer.status == 207:
                    self.general(answer, where)
                self.check(answer, step.expectations, n, path.name)

    # -- sending

    def filled(self, text: str, n: dict[str, str]) -> str:
        """The text with its symbols replaced."""
        return text.format_map({**self.symbols, **n})

    def send(self, step: Step, text: str, n: dict[str, str]) -> Answer:
        """Send the request and take in the answer."""
        words = self.filled(text, n).split()
        method, path = words[0], words[1]
        name = words[3] if len(words) == 4 and words[2] == "as" else "u1"
        body = self.text(step.body, n)
        environ = webob.BaseRequest.blank("/", method=method).environ
        target, _, query = path.partition("?")
        environ["PATH_INFO"] = urllib.parse.unquote_to_bytes(target).decode("latin-1")
        environ["QUERY_STRING"] = query
        environ["SERVER_NAME"], environ["HTTP_HOST"] = "calendar.example.org", "calendar.example.org"
        environ["REMOTE_ADDR"] = "127.0.0.1"
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        if name != "nobody":
            environ["HTTP_AUTHORIZATION"] = self.account(name)
        for header in step.headers:
            key, _, value = header.text.partition(":")
            upper = key.strip().upper().replace("-", "_")
            environ[upper if upper == "CONTENT_TYPE" else f"HTTP_{upper}"] = self.filled(value.strip(), n)
        if environ.get("HTTP_TRANSFER_ENCODING") == "chunked":
            del environ["CONTENT_LENGTH"]
            environ["wsgi.input_terminated"] = True
        return self.call(environ, f"{method} {path}")

    def text(self, lines: list[Line], n: dict[str, str]) -> bytes:
        """A body: symbols replaced, repeated lines written out, iCalendar with its line ends (RFC 5545 3.1)."""
        written = [self.filled(text, {**n, **m}) for line in lines for text, m in repeated(line.text)]
        while written and not written[-1].strip():
            written.pop()
        end = "\r\n" if written and written[0].startswith("BEGIN:") else "\n"
        return "".join(line + end for line in written).encode()

    def call(self, environ: dict[str, Any], request: str) -> Answer:
        """Call the application as a server does."""
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], None]:
            started.append((status, headers))
            return lambda _: None

        chunks = self.application(environ, start_response)
        try:
            body = b"".join(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close:
                close()
        status, headers = started[-1]
        answer = Answer(request, int(status.split()[0]), headers, body)
        if answer.header("Content-Encoding") == "gzip":
            answer.body = gzip.decompress(body)
        if "xml" in (answer.header("Content-Type") or "") and answer.body:
            answer.tree = etree.fromstring(answer.body)
        return answer

    # -- what holds for every 207

    def general(self, answer: Answer, where: str) -> None:
        """What every client needs of a multistatus; also sorts its responses by href."""
        root = answer.root()
        assert root.tag == "{DAV:}multistatus", f"{where}{answer}"
        assert (answer.header("DAV") or "").startswith("1"), f"{where}DAV: does not begin with 1\n{answer}"
        for response in root.iterchildren("{DAV:}response"):
            hrefs = response.findall("{DAV:}href")
            assert len(hrefs) == 1, f"{where}{len(hrefs)} hrefs in a response\n{answer}"
            href = hrefs[0].text or ""
            assert href not in answer.by_href, f"{where}{href} is there twice\n{answer}"
            answer.by_href[href] = response
            self.encoding(href, where)
            statuses = [status_of(propstat) for propstat in response.iterchildren("{DAV:}propstat")]
            assert statuses or response.find("{DAV:}status") is not None, f"{where}{href} has no status\n{answer}"
            assert 200 not in statuses[1:], f"{where}{href}: the propstat with 200 is not the first\n{answer}"
            if response.find("{DAV:}propstat/{DAV:}prop/{DAV:}resourcetype/{DAV:}collection") is not None:
                assert href.endswith("/"), f"{where}{href} is a collection without a slash at its end\n{answer}"

    def encoding(self, href: str, where: str) -> None:
        """A path is written in one way only, with capital escapes and without empty segments."""
        assert href.startswith("/"), f"{where}{href} is not an absolute path"
        assert "//" not in href, f"{where}{href} has an empty segment"
        assert not re.search(r"%(?![0-9A-F]{2})", href), f"{where}{href} is not escaped in capitals"
        before = self.encodings.setdefault(urllib.parse.unquote(href), href)
        assert before == href, f"{where}{href} was {before} before"

    # -- the lines of a file

    def check(self, answer: Answer, lines: list[Line], n: dict[str, str], file: str) -> None:
        """Check the expectations of one answer, in their order."""
        href = ""
        for line in lines:
            for text, m in repeated(line.text):
                filled = self.filled(text, {**n, **m})
                try:
                    href = self.expectation(answer, filled, href)
                except AssertionError as error:
                    raise AssertionError(f"{file}:{line.number}: {text}\n{error}") from error
                except (KeyError, ValueError, IndexError) as error:
                    raise GoldenFileError(f"{file}:{line.number}: {text}: {error!r}") from error

    def expectation(self, answer: Answer, text: str, href: str) -> str:
        """Check one line; returns the href of the response that the lines after it are about."""
        word, _, rest = text.partition(" ")
        if word == "=":
            answer.response(rest)
            return rest
        if word == "!":
            assert rest not in answer.by_href, f"there is a response for {rest}\n{answer}"
        elif word == "let":
            self.let(answer, rest)
        elif word in {"same", "differ"}:
            left, right = rest.split()
            assert (left == right) is (word == "same"), f"{left} and {right}"
        elif word in BODY:
            BODY[word](answer, rest)
        elif word in RESPONSE:
            RESPONSE[word](answer, href, rest)
        elif re.fullmatch(r"\d{3}", word):
            in_propstat(answer, href, int(word), rest)
        elif word.startswith("!"):
            assert answer.header(word[1:]) is None, f"{word[1:]}: {answer.header(word[1:])}"
        elif word.endswith(":"):
            value = answer.header(word[:-1])
            assert value is not None, f"no header {word[:-1]}\n{answer}"
            assert re.fullmatch(rest, value), f"the header is {value!r}"
        else:
            raise ValueError("there is no such expectation")
        return href

    def let(self, answer: Answer, text: str) -> None:
        """`let name = header NAME | member N | PREFIX:element | HREF PREFIX:property`."""
        name, _, source = text.split(" ", 2)
        words = source.split()
        value: str | None
        if words[0] == "header":
            value = answer.header(words[1])
        elif words[0] == "member":
            value = list(answer.by_href)[int(words[1]) - 1]
        elif len(words) == 1:
            value = answer.root().findtext(qualified(words[0]))
        else:
            found = answer.property(words[0], words[1])
            value = found[1].text if found and found[0] == 200 else None
        assert value, f"there is no {source}\n{answer}"
        self.symbols[name] = value.strip()


def in_propstat(answer: Answer, href: str, status: int, text: str) -> None:
    """`200 PREFIX:property [~ REGEX | + PREFIX:element | - PREFIX:element | # COUNT]`."""
    name, _, rest = text.partition(" ")
    found = answer.property(href, name)
    assert found is not None, f"{href} has no {name}\n{answer}"
    assert found[0] == status, f"{name} is {found[0]}\n{answer}"
    kind, _, wanted = rest.partition(" ")
    element = found[1]
    if kind == "~":
        written = (element.text or "").strip()
        assert re.fullmatch(wanted, written, re.DOTALL), f"{name} is {written!r}"
    elif kind in {"+", "-"}:
        inside = list(element.iterdescendants(qualified(wanted)))
        assert bool(inside) is (kind == "+"), f"{name}: {etree.tostring(element).decode()}"
    elif kind == "#":
        assert len(element) == int(wanted), f"{name}: {etree.tostring(element).decode()}"
    elif kind:
        raise ValueError(kind)


def body_is(answer: Answer, text: str) -> None:
    """`body ~ REGEX`, `body !~ REGEX`, `body empty`."""
    kind, _, wanted = text.partition(" ")
    body = answer.body.decode("utf-8")
    if kind == "empty":
        assert not body, str(answer)
        return
    assert bool(re.search(wanted, body)) is (kind == "~"), str(answer)


def error_is(answer: Answer, text: str) -> None:
    """`error PREFIX:condition [PREFIX:element TEXT]`."""
    name, *rest = text.split()
    root = answer.root()
    assert root.tag == "{DAV:}error", str(answer)
    condition = root.find(qualified(name))
    assert condition is not None, str(answer)
    if rest:
        inside = [each.text for each in condition.iterdescendants(qualified(rest[0]))]
        assert inside == [rest[1]], f"{inside}\n{answer}"


def root_is(answer: Answer, text: str) -> None:
    """`root PREFIX:element`."""
    assert answer.root().tag == qualified(text), str(answer)


def responses_are(answer: Answer, text: str) -> None:
    """`responses HREF…` or `responses none`."""
    wanted = set() if text == "none" else set(text.split())
    assert set(answer.by_href) == wanted, f"{sorted(answer.by_href)}"


def members_are(answer: Answer, text: str) -> None:
    """`members COUNT`."""
    assert len(answer.by_href) == int(text), f"{len(answer.by_href)}: {sorted(answer.by_href)}"


def absent(answer: Answer, href: str, text: str) -> None:
    """`no PREFIX:property`."""
    assert answer.property(href, text) is None, str(answer)


def direct_status(answer: Answer, href: str, text: str) -> None:
    """`status NNN`."""
    response = answer.response(href)
    assert response.find("{DAV:}propstat") is None, str(answer)
    assert status_of(response) == int(text), str(answer)


BODY = {"body": body_is, "error": error_is, "root": root_is, "responses": responses_are, "members": members_are}
RESPONSE = {"no": absent, "status": direct_status}
