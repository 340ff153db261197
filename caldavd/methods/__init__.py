"""Methods: one module each, one dict. A handler is ``(Context, Resource) -> Response`` and may be run again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from caldavd.context import Context
from caldavd.resources import WITH_BODY, Resource
from caldavd.response import Response
from caldavd.router import Location
from storage.rows import OBJECT_COLUMNS

Handler = Callable[[Context, Resource], Response]


def _never(_location: Location, _body: bytes) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Method:
    """``write``: needs the home locked; ``destination``: reads the ``Destination`` header; ``columns``: of the object.

    ``body``: may have one; a body that would be ignored is refused with 415 (RFC 4918 section 8.4). ``only_reads``:
    where a method that writes does not; no home is locked there.
    """

    run: Handler
    write: bool = False
    destination: bool = False
    columns: frozenset[str] = OBJECT_COLUMNS
    body: bool = True
    only_reads: Callable[[Location, bytes], bool] = _never


from caldavd.methods import (  # noqa: E402
    acl,
    copy_move,
    delete,
    get,
    lock,
    mkcol,
    options,
    post,
    propfind,
    proppatch,
    put,
    report,
    unlock,
)

METHODS: Final[dict[str, Method]] = {
    "OPTIONS": Method(options.run, body=False),
    "GET": Method(get.run, columns=WITH_BODY, body=False),
    "HEAD": Method(get.run, columns=WITH_BODY, body=False),
    "PROPFIND": Method(propfind.run),
    "PROPPATCH": Method(proppatch.run, write=True),
    "REPORT": Method(report.run, columns=WITH_BODY),
    "PUT": Method(put.run, write=True),
    "POST": Method(post.run, write=True, only_reads=post.only_reads),
    "DELETE": Method(delete.run, write=True, body=False),
    "MKCOL": Method(mkcol.run, write=True),
    "MKCALENDAR": Method(mkcol.run, write=True),
    "COPY": Method(copy_move.copy, write=True, destination=True, body=False),
    "MOVE": Method(copy_move.move, write=True, destination=True, body=False),
    "LOCK": Method(lock.run, write=True),
    "UNLOCK": Method(unlock.run, write=True, body=False),
    "ACL": Method(acl.run, write=True),
}
