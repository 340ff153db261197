"""Paths: where a request goes, and what an href looks like. Percent-encoding lives here and nowhere else.

``locate`` and ``href`` are inverses. Segments are decoded, compared decoded, and written in one canonical encoding:
upper-case escapes, ``@`` literal (clients.md rules 3, 4). A collection is found with and without its slash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

#: What is answered at the root before anybody has logged in (:mod:`caldavd.public`).
PUBLIC_ROOT: Final = frozenset({"rsvp", "freebusy"})
#: Names in every home that belong to features of their own.
RESERVED_HOME: Final = frozenset("inbox outbox notifications attachments".split())
MAX_SEGMENT_BYTES: Final = 255
#: Of a segment of a public path: a signed link is longer than a name. URLs of 2,000 characters arrive everywhere.
MAX_PUBLIC_SEGMENT_BYTES: Final = 1500
#: Segments of a path: each collection on the way is looked for.
MAX_SEGMENTS: Final = 32

#: Segments that are their own encoding, as nearly all are: tried first, since a listing encodes thousands.
_PLAIN = re.compile(r"[A-Za-z0-9_.~@-]*").fullmatch
#: What such a segment may be and no name is.
_NO_NAMES: Final = frozenset({"", ".", ".."})
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


class Space(StrEnum):
    """The parts of the URL space."""

    ROOT = "root"
    PRINCIPALS = "principals"
    PRINCIPAL = "principal"
    HOMES = "homes"
    HOME = "home"
    WELL_KNOWN = "well-known"
    PUBLIC = "public"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Location:
    """A place in the URL space: ``owner`` is a principal's name, ``names`` are the decoded segments below its home.

    Of a public path ``names`` are all the segments.
    """

    space: Space
    owner: str = ""
    names: tuple[str, ...] = ()
    slash: bool = True


class BadPath(ValueError):
    """The path cannot be one of this server's; the message says why."""


class OtherServer(ValueError):
    """The URL points to another server (RFC 4918 section 9.8.5: 502)."""


@dataclass(frozen=True, slots=True)
class Router:
    """``prefix`` is the path that the server lives below: empty, or ``/dav`` without a slash at its end."""

    prefix: str = ""

    def locate(self, path: str) -> Location:
        """The place of a path that is already decoded and without the prefix. Raises :class:`BadPath`."""
        if not path.startswith("/"):
            raise BadPath("The path has to begin with a slash.")
        if _CONTROL.search(path):
            raise BadPath("The path holds control characters.")
        slash = path.endswith("/")
        segments = [segment for segment in path.split("/") if segment]
        public = bool(segments) and segments[0] in PUBLIC_ROOT
        _check_segments(segments, max_bytes=MAX_PUBLIC_SEGMENT_BYTES if public else MAX_SEGMENT_BYTES)
        if public:
            return Location(Space.PUBLIC, names=tuple(segments), slash=slash)
        match segments:
            case []:
                return Location(Space.ROOT)
            case [".well-known", "caldav"]:
                return Location(Space.WELL_KNOWN)
            case ["principals"]:
                return Location(Space.PRINCIPALS, slash=slash)
            case ["principals", owner]:
                return Location(Space.PRINCIPAL, owner, slash=slash)
            case ["calendars"]:
                return Location(Space.HOMES, slash=slash)
            case ["calendars", owner, *names]:
                return Location(Space.HOME, owner, tuple(names), slash=slash)
            case _:
                return Location(Space.NOWHERE, slash=slash)

    def locate_href(self, href: str, *, base: str = "/", authorities: frozenset[str] | None = None) -> Location:
        """The place that an href of a body or a header names: absolute URL, absolute path or relative to ``base``.

        ``authorities``: the ``host[:port]`` texts that are this server; ``None`` takes any (clients behind proxies
        differ in scheme, port and case: clients.md section 1.7). Raises :class:`BadPath`, :class:`OtherServer`.
        """
        try:
            parts = urlsplit(href.strip())
        except ValueError as error:
            raise BadPath("The URL cannot be read.") from error
        if parts.scheme and parts.scheme.lower() not in ("http", "https"):
            raise BadPath("The URL is neither http nor https.")
        if parts.netloc and authorities is not None:
            host = parts.netloc.rpartition("@")[2].lower()
            if host not in authorities and host.partition(":")[0] not in {a.partition(":")[0] for a in authorities}:
                raise OtherServer("The URL points to another server.")
        path = parts.path
        if not parts.netloc and not path.startswith("/"):
            path = base.rpartition("/")[0] + "/" + path
        try:
            decoded = unquote_to_bytes(path).decode()
        except UnicodeDecodeError as error:
            raise BadPath("The URL is not UTF-8.") from error
        return self.locate(self.strip_prefix(decoded))

    def strip_prefix(self, path: str) -> str:
        """The decoded path without the prefix. Raises :class:`BadPath` where the path is not below it."""
        if not self.prefix:
            return path
        prefix = unquote_to_bytes(self.prefix).decode()
        if path == prefix:
            return "/"
        if path.startswith(prefix + "/"):
            return path[len(prefix) :]
        raise BadPath(f"The path is not below {prefix}.")

    def href(self, location: Location, *, collection: bool | None = None) -> str:
        """The canonical absolute path; ``collection`` says whether it ends in a slash (``None``: as it was located)."""
        match location.space:
            case Space.ROOT | Space.WELL_KNOWN | Space.NOWHERE:
                return f"{self.prefix}/"
            case Space.PUBLIC:
                return f"{self.prefix}/" + "/".join(map(encode, location.names))
            case Space.PRINCIPALS:
                return f"{self.prefix}/principals/"
            case Space.PRINCIPAL:
                return f"{self.prefix}/principals/{encode(location.owner)}/"
            case Space.HOMES:
                return f"{self.prefix}/calendars/"
            case Space.HOME:
                return self.below_home(
                    location.owner, location.names, collection=_default(collection, otherwise=location.slash)
                )

    def principal(self, name: str) -> str:
        """The href of a principal."""
        return f"{self.prefix}/principals/{encode(name)}/"

    def below_home(self, owner: str, names: tuple[str, ...], *, collection: bool) -> str:
        """The href of a home or of something below it."""
        path = f"{self.prefix}/calendars/{encode(owner)}/"
        if not names:
            return path
        path += "/".join(map(encode, names))
        return path + "/" if collection else path


def _check_segments(segments: list[str], *, max_bytes: int) -> None:
    if len(segments) > MAX_SEGMENTS:
        raise BadPath(f"The path has more than {MAX_SEGMENTS} segments.")
    for segment in segments:
        if segment in (".", ".."):
            raise BadPath("The path holds dot segments.")
        if len(segment.encode()) > max_bytes:
            raise BadPath(f"A segment of the path is longer than {max_bytes} bytes.")


def encode(segment: str) -> str:
    """One path segment in the canonical encoding."""
    return segment if _PLAIN(segment) else quote(segment, safe="@")


def plain_names(hrefs: Iterable[str], base: str) -> dict[str, str]:
    """The names of those hrefs that lie directly in ``base`` and are spelt as this server spells them, by href.

    ``base`` is the canonical href of a collection, with its slash. The others are left out: there is
    :meth:`Router.locate_href` for them, which says the same of those that are found here (a test compares the two).
    """
    if base.count("/") > MAX_SEGMENTS:
        return {}
    size = len(base)
    return {
        href: name
        for href in hrefs
        if href.startswith(base)
        and _PLAIN(name := href[size:])
        and name not in _NO_NAMES
        and len(name) <= MAX_SEGMENT_BYTES
    }


def _default(value: bool | None, *, otherwise: bool) -> bool:  # noqa: FBT001
    return otherwise if value is None else value
