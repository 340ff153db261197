"""Content codings (RFC 9110 section 8.4): gzip, br and zstd where the client takes them.

The ETag stays as it is: clients send it back in ``If-Match`` and compare it with the one of a PROPFIND
(clients.md rule 19), so the coding is applied as if in transit and never marked in the tag.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol

from caldavd.response import Response
from caldavd.spool import NoRoom, spooled

_MIN_BYTES: Final = 1024
_TEXT: Final = ("text/", "application/xml", "application/calendar+json", "application/json")


class Coder(Protocol):
    """Codes one body, piece by piece."""

    def compress(self, data: bytes, /) -> bytes:
        """The next bytes of the coded form."""

    def flush(self) -> bytes:
        """Its last ones."""


#: Makes the coder of a body of so many bytes.
NewCoder = Callable[[int], Coder]


def _gzip(_: int) -> Coder:
    # Level 3: half the time of 5 for a tenth more bytes. The bits ask for gzip's head, which has no time in it.
    return zlib.compressobj(level=3, wbits=16 + zlib.MAX_WBITS)


def _coders() -> dict[str, NewCoder]:
    coders: dict[str, NewCoder] = {}
    try:
        import zstandard

        coders["zstd"] = lambda size: zstandard.ZstdCompressor(level=1).compressobj(size=size)
    except ImportError:  # an optional package: gzip is always there
        pass
    coders["gzip"] = _gzip
    return coders


#: In the order of preference where a client weighs them equally.
CODERS: Final[Mapping[str, NewCoder]] = _coders()


def choose(accept_encoding: str) -> str | None:
    """The best coding that ``Accept-Encoding`` (RFC 9110 section 12.5.3) allows; ``None`` for identity."""
    weights: dict[str, float] = {}
    for part in accept_encoding.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        if name:
            weights[name] = weight
    best = max(CODERS, key=lambda name: weights.get(name, 0.0), default=None)
    return best if best is not None and weights.get(best, 0.0) > 0 else None


def coding_of(content_type: str, size: int, accept_encoding: str) -> str | None:
    """The coding that a body of this type and size (bytes) goes out with; ``None`` for identity."""
    return choose(accept_encoding) if content_type.startswith(_TEXT) and size >= _MIN_BYTES else None


def compress(response: Response, accept_encoding: str) -> Response:
    """The response, coded where that is allowed and worth it."""
    body = response.body
    kind = response.headers.get("Content-Type", "")
    if not kind.startswith(_TEXT) or "Content-Range" in response.headers:
        return response
    vary = ", ".join(filter(None, (response.headers.get("Vary"), "Accept-Encoding")))
    plain = Response(response.status, {**response.headers, "Vary": vary}, body)
    coding = coding_of(kind, len(body), accept_encoding)
    if coding is None:
        return plain
    headers = {**plain.headers, "Content-Encoding": coding}
    coder = CODERS[coding](len(body))
    if isinstance(body, bytes):
        return Response(response.status, headers, coder.compress(body) + coder.flush())
    try:
        coded = spooled(_coded(coder, body.pieces()))
    except NoRoom:
        return plain  # there is no room for a second one, and the first is there
    body.close()
    return Response(response.status, headers, coded)


def _coded(coder: Coder, pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield from map(coder.compress, pieces)
    yield coder.flush()
