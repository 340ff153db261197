"""One HTTP exchange as the logging proxy keeps it, and how to read it: headers, a one-line summary, a log file.

Credentials never get into an exchange: an Authorization header is replaced by its scheme and the user's name.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass, field
from pathlib import Path

Headers = list[tuple[str, str]]

PREFIXES = {
    "DAV:": "D",
    "urn:ietf:params:xml:ns:caldav": "C",
    "http://calendarserver.org/ns/": "CS",
    "http://apple.com/ns/ical/": "A",
    "urn:ietf:params:xml:ns:carddav": "CARD",
}
TOLD = (
    "Depth",
    "If-Match",
    "If-None-Match",
    "If",
    "If-Schedule-Tag-Match",
    "Prefer",
    "Destination",
    "Content-Type",
    "Originator",
    "Recipient",
)


@dataclass(slots=True)
class Exchange:
    """A request and its answer. `mark` is the driver's step; bodies are text, decoded from gzip and deflate."""

    number: int
    mark: str
    method: str
    path: str
    request_headers: Headers
    request_body: str
    status: int
    reason: str
    response_headers: Headers
    response_body: str
    milliseconds: int = field(default=0)

    def request_header(self, name: str) -> str | None:
        """The first request header of this name."""
        return next((value for key, value in self.request_headers if key.lower() == name.lower()), None)

    def response_header(self, name: str) -> str | None:
        """The first response header of this name."""
        return next((value for key, value in self.response_headers if key.lower() == name.lower()), None)

    def line(self) -> str:
        """The exchange as one line."""
        parts = [f"{self.number:3} {self.method:10} {self.path}"]
        parts += [f"{name}: {value}" for name in TOLD if (value := self.request_header(name)) is not None]
        if self.request_header("Authorization") is None:
            parts.append("(no auth)")
        if self.request_body:
            parts.append(asked(self.request_body) or contents(self.request_body))
        tail = f"-> {self.status}"
        for name in ("ETag", "Schedule-Tag", "Location"):
            if value := self.response_header(name):
                tail += f" {name}: {value}"
        return " | ".join([*parts, tail])

    def full(self) -> str:
        """The exchange as the two messages."""
        request = "".join(f"{name}: {value}\n" for name, value in self.request_headers)
        response = "".join(f"{name}: {value}\n" for name, value in self.response_headers)
        return (
            f"{self.method} {self.path}   [{self.mark}]\n{request}\n{self.request_body}\n-----\n"
            f"{self.status} {self.reason}  {self.milliseconds} ms\n{response}\n{self.response_body}"
        )


def without_credentials(headers: Headers) -> Headers:
    """The headers with the name of the user in place of what proves it."""
    safe: Headers = []
    for name, value in headers:
        if name.lower() != "authorization":
            safe.append((name, value))
            continue
        scheme, _, rest = value.partition(" ")
        user = "?"
        if scheme.lower() == "basic":
            try:
                user = base64.b64decode(rest).decode("utf-8", "replace").split(":")[0]
            except binascii.Error:
                user = "unreadable"
        safe.append((name, f"{scheme} <{user}>"))
    return safe


def contents(body: str) -> str:
    """What an iCalendar body holds."""
    components = re.findall(r"^BEGIN:(V(?:EVENT|TODO|JOURNAL|FREEBUSY|TIMEZONE|ALARM))", body, re.MULTILINE)
    return f"[{len(body)} characters {'+'.join(components)}]"


def asked(body: str) -> str:
    """The gist of an XML request: root, properties, number of hrefs, token, filters; empty when it is not XML."""
    try:
        root = ET.fromstring(body)
    except ET.ParseError:
        return ""
    parts = [short(root.tag)]
    properties = root.find(".//{DAV:}prop")
    if properties is not None:
        parts.append("{" + " ".join(short(child.tag) for child in properties) + "}")
    if hrefs := root.findall("{DAV:}href"):
        parts.append(f"{len(hrefs)} href")
    token = root.find("{DAV:}sync-token")
    if token is not None:
        parts.append("sync-token=" + ("set" if (token.text or "").strip() else "(empty)"))
    caldav = "{urn:ietf:params:xml:ns:caldav}"
    parts += ["filter:" + each.get("name", "") for each in root.iter(caldav + "comp-filter")]
    parts += [f"time-range {each.get('start')}..{each.get('end')}" for each in root.iter(caldav + "time-range")]
    return " ".join(parts)


def short(tag: str) -> str:
    """`{namespace}name` with the customary prefix."""
    namespace, _, name = tag[1:].partition("}") if tag.startswith("{") else ("", "", tag)
    return f"{PREFIXES.get(namespace, namespace)}:{name}"


def dump(exchange: Exchange) -> str:
    """The exchange as a line of JSON."""
    return json.dumps(asdict(exchange), ensure_ascii=False)


def load(path: Path) -> list[Exchange]:
    """The exchanges of a log file."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        fields = json.loads(line)
        for headers in ("request_headers", "response_headers"):
            fields[headers] = [(name, value) for name, value in fields[headers]]
        found.append(Exchange(**fields))
    return found


def main(arguments: list[str]) -> int:
    """`FILE` prints a line an exchange, grouped by step; `FILE NUMBER` prints one in full."""
    mark = ""
    for exchange in load(Path(arguments[0])):
        if len(arguments) > 1:
            if exchange.number == int(arguments[1]):
                print(exchange.full())
            continue
        if exchange.mark != mark:
            mark = exchange.mark
            print(f"== {mark}")
        print(exchange.line())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
