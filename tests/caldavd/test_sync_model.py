"""Random writes and paged syncs against a model: what a client has after a sync is what the server has.

Two clients follow two calendars and the home, with pages of any size; writes go on between the pages.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from caldavd.app import Application
from storage.open import open_store
from tests.caldavd.client import Client, NamesAreEnough, event
from tests.caldavd.mirror import Mirror

HOME = "/calendars/u1/"
NAMES = ("a.ics", "b.ics", "c@d.ics", "e f.ics")
CALENDARS = ("calendar", "second")


class Syncing(RuleBasedStateMachine):
    """The model is ``objects``: calendar and name to ETag, and ``calendars``."""

    template: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        for part in self.template.parent.glob(self.template.name + "*"):
            shutil.copy(part, self.folder / part.name)
        self.store = open_store(f"sqlite:///{self.folder}/{self.template.name}")
        self.client = Client(Application(store=self.store, authenticator=NamesAreEnough(self.store)))  # type: ignore[arg-type]
        self.objects: dict[tuple[str, str], str] = {}
        self.mirrors: list[Mirror] = []
        self.count = 0

    @initialize()
    def start(self) -> None:
        assert self.client.request("MKCALENDAR", HOME + "second/").status == 201
        for calendar in CALENDARS:
            self.mirrors += [Mirror(f"{HOME}{calendar}/", level="1") for _ in range(2)]
        self.mirrors.append(Mirror(HOME, level="infinite"))

    def path(self, calendar: str, name: str) -> str:
        return f"{HOME}{calendar}/{name.replace(' ', '%20')}"

    @rule(calendar=st.sampled_from(CALENDARS), name=st.sampled_from(NAMES))
    def put(self, calendar: str, name: str) -> None:
        self.count += 1
        uid = f"{calendar}-{name}-{self.count}"
        known = self.objects.get((calendar, name))
        if known is not None:  # a URL keeps its UID
            uid = self.client.request("GET", self.path(calendar, name)).body.decode().split("UID:")[1].split("\r")[0]
        answer = self.client.put(self.path(calendar, name), event(uid, summary=f"version {self.count}"))
        assert answer.status == (201 if known is None else 204), answer.body
        self.objects[calendar, name] = answer.headers["ETag"]

    @rule(calendar=st.sampled_from(CALENDARS), name=st.sampled_from(NAMES))
    def delete(self, calendar: str, name: str) -> None:
        known = self.objects.pop((calendar, name), None)
        assert self.client.request("DELETE", self.path(calendar, name)).status == (404 if known is None else 204)

    @rule(
        source=st.sampled_from(CALENDARS),
        name=st.sampled_from(NAMES),
        into=st.sampled_from(CALENDARS),
        new=st.sampled_from(NAMES),
        method=st.sampled_from(("MOVE", "COPY")),
    )
    def transfer(self, source: str, name: str, into: str, new: str, method: str) -> None:
        exists = (source, name) in self.objects
        answer = self.client.request(method, self.path(source, name), Destination=self.path(into, new), Overwrite="F")
        if not exists:
            assert answer.status == 404
        elif (source, name) == (into, new):
            assert answer.status == 403
        elif (into, new) in self.objects:
            assert answer.status == 412
        elif answer.status == 403:
            assert answer.conditions == ["no-uid-conflict"]
        else:
            assert answer.status == 201, answer.body
            self.objects[into, new] = self.objects[source, name]
            if method == "MOVE":
                del self.objects[source, name]

    @rule(calendar=st.sampled_from(CALENDARS))
    def rename(self, calendar: str) -> None:
        self.count += 1
        answer = self.client.proppatch(f"{HOME}{calendar}/", set=f"<D:displayname>{self.count}</D:displayname>")
        assert answer.status == 207

    @rule()
    def renew(self) -> None:
        """A calendar goes and comes back at the same URL."""
        assert self.client.request("DELETE", HOME + "second/").status == 204
        assert self.client.request("MKCALENDAR", HOME + "second/").status == 201
        self.objects = {key: value for key, value in self.objects.items() if key[0] != "second"}

    @precondition(lambda self: self.mirrors)
    @rule(which=st.integers(0, 4), limit=st.sampled_from((None, 1, 2, 3)))
    def sync_a_page(self, which: int, limit: int | None) -> None:
        self._sync(self.mirrors[which], limit)

    def _sync(self, mirror: Mirror, limit: int | None) -> bool:
        answer = self.client.sync(mirror.path, mirror.token, limit=limit, level=mirror.level)
        if answer.status == 403:
            assert answer.conditions == ["valid-sync-token"]
            mirror.token, mirror.has = "", {}
            return True
        assert answer.status == 207, answer.body
        return mirror.take(answer)

    @precondition(lambda self: self.mirrors)
    @rule(which=st.integers(0, 4), limit=st.sampled_from((None, 1, 2)))
    def sync_fully(self, which: int, limit: int | None) -> None:
        mirror = self.mirrors[which]
        pages = 0
        while self._sync(mirror, limit):
            pages += 1
            assert pages < 100, "a walk has to come to its end"
        expected = {
            self.path(calendar, name): etag
            for (calendar, name), etag in self.objects.items()
            if self.path(calendar, name).startswith(mirror.path)
        }
        assert {href: etag for href, etag in mirror.has.items() if not href.endswith("/")} == expected

    @invariant()
    def sound(self) -> None:
        assert list(self.store.check()) == []

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


def test_clients_end_with_the_servers_state(template: Path) -> None:
    machine = type("Machine", (Syncing,), {"template": template})
    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=40, deadline=None))


def test_a_walk_with_writes_between_its_pages(u1: Client) -> None:
    path = HOME + "calendar/"
    for number in range(5):
        u1.put(f"{path}{number}.ics", event(f"u{number}"))
    mirror = Mirror(path, level="1")
    assert mirror.take(u1.sync(path, "", limit=2))
    u1.request("DELETE", f"{path}0.ics")  # told already: has to be told again, as removed
    u1.request("DELETE", f"{path}4.ics")  # not told yet
    u1.put(f"{path}1.ics", event("u1", summary="changed"))
    u1.put(f"{path}new.ics", event("new"))
    while mirror.take(u1.sync(path, mirror.token, limit=2)):
        pass
    assert sorted(mirror.has) == [f"{path}{name}.ics" for name in ("1", "2", "3", "new")]
    assert mirror.has[f"{path}1.ics"] == u1.request("HEAD", f"{path}1.ics").headers["ETag"]


@pytest.mark.parametrize("token", ["x", "urn:bogus:1", "urn:x-caldavd:sync:other:1.1:o:0:0"])
def test_foreign_tokens(u1: Client, token: str) -> None:
    answer = u1.sync(HOME + "calendar/", token)
    assert answer.status == 403
    assert answer.conditions == ["valid-sync-token"]
