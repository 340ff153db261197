"""What a handler is given: the request, who asks, the open transaction and the fixed parts of the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from caldavd.directory import Directory
from caldavd.locks import HeldLocks
from caldavd.request import Request
from caldavd.router import Location, Router
from config.settings import Limits
from scheduling.delivery.scheduler import Scheduler
from scheduling.finding.finder import Finder
from scheduling.freebusy.diaries import FreeBusy
from storage.rows import Principal
from storage.store import Store, Transaction

__all__ = ["Context", "Limits"]

if TYPE_CHECKING:
    from caldavd.access import Access


@dataclass(frozen=True, slots=True)
class Context:
    """A request on its way through a handler; made anew for each attempt of the transaction.

    ``scheduler`` is ``None`` where scheduling is off; ``held`` are the names of the principals whose homes are locked.
    ``freebusy`` answers who is busy when, ``finder`` when people could meet.
    """

    request: Request
    user: Principal
    tx: Transaction
    store: Store
    router: Router
    access: Access
    limits: Limits
    locks: HeldLocks
    directory: Directory
    destination: Location | None = None
    scheduler: Scheduler | None = None
    held: frozenset[str] = frozenset()
    freebusy: FreeBusy = field(default_factory=FreeBusy)
    finder: Finder = field(default_factory=Finder)
