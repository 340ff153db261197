"""What is answered before anybody has logged in: one table of the spaces at the root, and the methods of each.

Here is what they have in common: which method, how large a body, what an error looks like, and that none of it is
WebDAV. The spaces themselves are modules of this package. A handler is ``(Public) -> Response``; as with the methods
of WebDAV it runs in one transaction and may be run again from its start. Who may do what is for the handler to decide:
what is in the path has to be a secret, or signed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from caldavd.context import Limits
from caldavd.errors import DavError
from caldavd.request import Request
from caldavd.response import Response
from caldavd.router import Router
from scheduling.delivery.running import NeedHomes
from scheduling.delivery.scheduler import Scheduler
from scheduling.freebusy.diaries import FreeBusy
from storage.store import Store, Transaction

#: On every answer that does not say otherwise: what a link shows is for who has the link, and the link goes nowhere.
HEADERS: Final[Mapping[str, str]] = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@dataclass(frozen=True, slots=True)
class Public:
    """A request without a user, on its way through a handler; made anew for each attempt of the transaction.

    ``names`` are the decoded segments below the space (``/rsvp/a/b``: ``("a", "b")``); ``held`` are the names of the
    principals whose homes are locked.
    """

    request: Request
    names: tuple[str, ...]
    tx: Transaction
    store: Store
    router: Router
    limits: Limits
    scheduler: Scheduler | None = None
    held: frozenset[str] = frozenset()
    freebusy: FreeBusy = field(default_factory=FreeBusy)

    def hold(self, *owners: str) -> None:
        """Sees to it that the homes of these principals are locked: raises ``NeedHomes`` where they are not yet."""
        missing = frozenset(owners) - self.held
        if missing:
            raise NeedHomes(self.held | missing)


Handler = Callable[[Public], Response]
#: How a space shows an error; the text is the request's ``Accept-Language``.
Refusal = Callable[[DavError, str], Response]


@dataclass(frozen=True, slots=True)
class Method:
    """``write``: the transaction writes; ``max_body``: bytes that a body may have (0: it takes none)."""

    run: Handler
    write: bool = False
    max_body: int = 0


def plainly(error: DavError, accept_language: str) -> Response:
    """An error as a line of text."""
    del accept_language
    return Response(error.status, {"Content-Type": "text/plain; charset=utf-8"}, f"{error.message}\n".encode())


@dataclass(frozen=True, slots=True)
class Space:
    """A name at the root. HEAD is there where GET is, and OPTIONS everywhere; what is in no table is 405."""

    methods: Mapping[str, Method]
    refusal: Refusal = field(default=plainly)

    @property
    def allow(self) -> str:
        """The value of ``Allow`` (RFC 9110 section 10.2.1)."""
        return ", ".join(dict.fromkeys(("OPTIONS", *(("GET", "HEAD") if "GET" in self.methods else ()), *self.methods)))

    def method(self, name: str) -> Method:
        """What answers a method. Raises 405."""
        if name == "OPTIONS":
            return Method(lambda _public: Response(200, {"Allow": self.allow, "Content-Length": "0"}))
        found = self.methods.get("GET" if name == "HEAD" else name)
        if found is None:
            raise DavError(405, f"{name[:32]} is not possible here.", headers={"Allow": self.allow})
        return found

    def refused(self, error: DavError, accept_language: str) -> Response:
        """The answer that an error is."""
        response = self.refusal(error, accept_language)
        response.headers.update(error.headers)
        return response


from caldavd.public import freebusy, rsvp  # noqa: E402

SPACES: Final[Mapping[str, Space]] = {
    "freebusy": freebusy.SPACE,
    "rsvp": rsvp.SPACE,
}
