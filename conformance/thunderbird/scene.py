"""What the steps of the Thunderbird scenario share: the program, the proxy's traffic, the other client, the mail."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.dav import Dav
from conformance.exchanges import Exchange
from conformance.logproxy import LogProxy
from conformance.steps import Scenario, check
from conformance.target import Account
from conformance.thunderbird.application import Thunderbird
from conformance.thunderbird.mailbox import Mailbox

PATIENCE = 5.0  # seconds until a change counts as lost


@dataclass(slots=True)
class Scene:
    """State of a run. `state` is what Thunderbird learned about the calendar when it subscribed."""

    folder: Path
    account: Account
    guest: Account
    dav: Dav
    guest_dav: Dav
    proxy: LogProxy
    mailbox: Mailbox
    calendar: str
    thunderbird: Thunderbird
    guest_thunderbird: Thunderbird
    before: int = 0
    state: dict[str, Any] = field(default_factory=dict)
    lunch: str = ""
    weekly: str = ""
    meeting: str = ""

    @property
    def location(self) -> str:
        """What a user types as the location: the root, at the proxy."""
        return self.proxy.url + "/"

    def begin(self, step: str) -> None:
        """Label the traffic of a step; `sent` counts from here."""
        self.proxy.set_mark(step)
        self.before = self.proxy.count()

    def sent(self) -> list[Exchange]:
        """The exchanges of this step so far."""
        return self.proxy.since(self.before)

    def statuses(self) -> list[tuple[str, int]]:
        """Method and status of each exchange of this step."""
        return [(exchange.method, exchange.status) for exchange in self.sent()]

    def told(self) -> str:
        """The methods of this step, for the note of its verdict."""
        return " ".join(exchange.method for exchange in self.sent())

    def last_put(self) -> Exchange:
        """The last PUT of this step; fails when there was none."""
        puts = [exchange for exchange in self.sent() if exchange.method == "PUT"]
        check(puts, f"no PUT was sent, only {self.told()}")
        return puts[-1]

    def run(self, source: str, *arguments: object) -> Any:
        """Run a script in the first Thunderbird."""
        return self.thunderbird.script(source, *arguments)

    def arrived(self, text: str, where: str = "") -> str:
        """The unfolded object on the server that holds `text`, once it is there; `where` is the path it must have."""
        end = time.monotonic() + PATIENCE
        while not (found := self.dav.find(self.calendar, text)):
            check(time.monotonic() < end, f"{text} did not arrive; {self.statuses()}")
            time.sleep(0.2)
        check(not where or found[0] == where, f"{text} is at {found[0]}, not at {where}")
        return found[1]

    def path(self, text: str) -> str:
        """The path of the object on the server that holds `text`."""
        found = self.dav.find(self.calendar, text)
        return found[0] if found else ""

    def same(self) -> str:
        """Fail unless Thunderbird's items and the server's are the same."""
        mine = set(self.run("return (await items()).map(i => i.id)"))
        theirs = self.dav.uids(self.calendar)
        check(mine == theirs, f"only here {mine - theirs}, only there {theirs - mine}")
        return f"{len(mine)} items"


SCENARIO: Scenario[Scene] = Scenario()
