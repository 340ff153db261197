"""Every script in ``tests/itip``, played in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scheduling.ical.lines import ICalendarError
from scheduling.ical.values import write_utc
from tests.scheduling.itip.script import Script, load, play
from tests.scheduling.itip.world import World

if TYPE_CHECKING:
    from datetime import datetime

FOLDER = Path(__file__).parents[2] / "itip"
SCRIPTS = [script for path in sorted(FOLDER.glob("*.txt")) for script in load(path)]


class Memory:
    """A stage in memory."""

    def __init__(self) -> None:
        self.world = World()
        self.unreadable = ""

    def account(self, name: str, addresses: list[str]) -> None:
        self.world.add(name, addresses)

    def at(self, now: datetime) -> None:
        self.world.now = now

    def put(self, name: str, text: bytes, *, merge: bool) -> None:
        self.world.put(name, text, merge=merge)

    def delete(self, name: str, uid: str, *, reply: bool) -> None:
        self.world.delete(name, uid, reply=reply)

    def receive(self, sender: str, recipient: str, text: bytes) -> None:
        try:
            self.world.receive(sender, recipient, text)
        except ICalendarError as error:
            self.world.reasons = [f"unreadable: {error}"]

    def stored(self, name: str, uid: str) -> bytes | None:
        return self.world.accounts[name].objects.get(uid)

    def tag(self, name: str, uid: str) -> object:
        return self.world.accounts[name].tags.get(uid)

    def inbox(self, name: str) -> list[str]:
        return [message.method for message in self.world.accounts[name].inbox]

    def newest(self, name: str) -> bytes | None:
        inbox = self.world.accounts[name].inbox
        return inbox[-1].text if inbox else None

    def refused(self) -> str | None:
        return None if self.world.refused is None else self.world.refused.condition

    def status(self, expected: str, uri: str) -> str:
        return expected

    def check_messages(self, expected: list[str]) -> None:
        found = self.messages()
        assert found == expected, "\n".join(["messages were:", *found])

    def messages(self) -> list[str]:
        out = []
        for sent in self.world.sent:
            message = sent.message
            if not message.in_order:
                continue
            rids = ["series" if rid is None else write_utc(rid) for rid in message.recurrence_ids]
            tail = "" if rids == ["series"] else " " + " ".join(rids)
            out.append(f"{message.method} {_name(message.sender)} -> {_name(message.recipient)}{tail}")
        return out

    def sent(self) -> list[tuple[str, str, str]]:
        return [(one.message.method, one.message.sender, one.message.recipient) for one in self.world.sent]

    def born(self, name: str, uid: str) -> object:
        return self.world.births.get((name, uid)) if uid in self.world.accounts[name].objects else None

    def reasons(self) -> list[str] | None:
        return self.world.reasons


def _name(address: str) -> str:
    local, _, domain = address.removeprefix("mailto:").partition("@")
    return local if domain in ("example.com", "example.org", "invalid.example") else address.removeprefix("mailto:")


@pytest.mark.parametrize("script", SCRIPTS, ids=[f"{one.file}-{one.title}" for one in SCRIPTS])
def test_script(script: Script) -> None:
    play(script, Memory())


def test_titles_are_unique_so_that_a_failure_names_its_script() -> None:
    titles = [(one.file, one.title) for one in SCRIPTS]
    assert len(titles) == len(set(titles))


def test_every_script_expects_something() -> None:
    assert [one.title for one in SCRIPTS if not any(step.words[0] == "expect" for step in one.steps)] == []
