"""The meeting of ``tests.scheduling.itip.machine`` on the real server: by HTTP, in a store.

Besides, objects are moved between calendars and copied, clients come without any condition, and every answer's headers
are compared with what is stored (``Office.done``).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
from hypothesis.stateful import precondition, rule

from storage.open import open_store
from tests.caldavd.itip.stage import CALENDAR, SECOND, Office, Watch, prepare
from tests.scheduling.itip.machine import OTHERS, Meeting, bounded
from tests.scheduling.itip.script import UID

EVERYBODY = st.sampled_from(["a", *OTHERS])


class OverHttp(Meeting):
    """With everything between a request and the rows."""

    _prepared: TemporaryDirectory[str] | None = None

    def make_stage(self) -> Office:
        """A server with a database of its own."""
        if OverHttp._prepared is None:
            OverHttp._prepared = TemporaryDirectory(prefix="itip")
            prepare(Path(OverHttp._prepared.name))
        self.folder = TemporaryDirectory(prefix="itip")
        for part in Path(OverHttp._prepared.name).iterdir():
            shutil.copy(part, self.folder.name)
        watch = Watch()
        self.office = Office(open_store(f"sqlite:///{self.folder.name}/caldavd.db", clock=watch), watch)
        return self.office

    def teardown(self) -> None:
        self.office.store.close()
        self.folder.cleanup()

    def _elsewhere(self, name: str) -> str:
        """A place for the object in the other one of somebody's two calendars."""
        known = self.office.kept(name, UID)
        assert known is not None
        other = SECOND if f"/{CALENDAR}/" in known.href else CALENDAR
        self.counter += 1
        return f"/calendars/{name}/{other}/moved-{self.counter}.ics"

    @precondition(lambda self: self.has("a"))
    @rule(name=EVERYBODY)
    def move_to_another_calendar(self, name: str) -> None:
        """RFC 6638 3.2.3.4: from calendar to calendar nothing is sent, and nothing changes."""
        known = self.office.kept(name, UID)
        if known is None:
            return
        target = self._elsewhere(name)
        self.office.done(self.office.client(name).request("MOVE", known.href, Destination=target))
        moved = self.office.kept(name, UID)
        assert moved is not None
        assert (moved.href, moved.body) == (target, known.body)
        assert self.office.sent() == []
        if name in OTHERS:
            self.born[name] = self.office.born(name, UID)
        self.look(name)

    @precondition(lambda self: self.has("a"))
    @rule(name=EVERYBODY)
    def copy_to_another_calendar(self, name: str) -> None:
        """RFC 6638 3.2.4.1: one meeting in one place."""
        known = self.office.kept(name, UID)
        if known is not None:
            answer = self.office.client(name).request("COPY", known.href, Destination=self._elsewhere(name))
            self.office.done(answer)
            assert self.office.refused() == "unique-scheduling-object-resource"
            assert self.office.kept(name, UID) == known
            assert self.office.sent() == []

    @rule()
    def come_without_condition(self) -> None:
        """The next client that changes something sends neither If-Match nor If-Schedule-Tag-Match."""
        self.office.unconditional = True


TestConvergence = OverHttp.TestCase
TestConvergence.settings = bounded(12, 20)
