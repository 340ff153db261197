"""``caldavd user freebusy-url``: the link is printed, opened, replaced, closed."""

from __future__ import annotations

from pathlib import Path

from tests.caldavd.cli.conftest import Cli


def test_on_new_off(ready: Cli) -> None:
    ready("user", "add", "alice", "--no-password")
    assert "--on" in ready("user", "freebusy-url", "alice", status=1).output
    first = ready("user", "freebusy-url", "alice", "--on").output.strip()
    assert first.startswith("http://127.0.0.1:5232/freebusy/")
    assert ready("user", "freebusy-url", "alice", "--on").output.strip() == first
    assert ready("user", "freebusy-url", "alice").output.strip() == first
    second = ready("user", "freebusy-url", "alice", "--new").output.strip()
    assert second != first
    assert ready("user", "freebusy-url", "alice").output.strip() == second
    assert "Nobody" in ready("user", "freebusy-url", "alice", "--off").output
    ready("user", "freebusy-url", "alice", status=1)
    third = ready("user", "freebusy-url", "alice", "--on").output.strip()
    assert third not in (first, second)
    assert "There is no user" in ready("user", "freebusy-url", "nobody", "--on", status=1).output


def test_the_address_is_the_one_that_people_reach(ready: Cli) -> None:
    ready("user", "add", "alice", "--no-password")
    Path("caldavd.toml").write_text('[server]\nbase_url = "https://cal.example.org"\nprefix = "/dav"\n')
    assert ready("user", "freebusy-url", "alice", "--new").output.startswith("https://cal.example.org/dav/freebusy/")
