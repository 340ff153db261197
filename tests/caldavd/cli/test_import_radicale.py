"""``caldavd user import-radicale``: from a folder as Radicale writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from caldavd.cli.session import Session
from tests.caldavd.cli.conftest import Cli
from tests.caldavd.cli.test_calendar import event, file_of
from tests.caldavd.cli.test_user import credentials, people


def collection(root: Path, path: str, properties: Mapping[str, str], items: Mapping[str, bytes]) -> None:
    folder = root / "collection-root" / path
    folder.mkdir(parents=True)
    (folder / ".Radicale.props").write_text(json.dumps(properties), "utf-8")
    for name, data in items.items():
        (folder / name).write_bytes(data)


@pytest.fixture
def radicale(tmp_path: Path) -> Path:
    root = tmp_path / "radicale"
    properties = {
        "tag": "VCALENDAR",
        "D:displayname": "Carol & co",
        "C:calendar-description": "<all>",
        "ICAL:calendar-color": "#ff0000ff",
        "C:supported-calendar-component-set": "VEVENT,VTODO",
    }
    items = {"a.ics": file_of(event("a")), "b b.ics": file_of(event("uid-of-b", more="X-ODD;X-P=1:kept \r\n"))}
    collection(root, "carol/1f-2e", properties, items)
    collection(root, "dave@example.org/tasks", {"tag": "VCALENDAR"}, {"t.ics": file_of(event("t", kind="VTODO"))})
    return root


def bodies(owner: str, name: str) -> dict[str, bytes]:
    session = Session(None)

    def work(tx: object) -> dict[str, bytes]:
        found = tx.collections.find(owner, (name,))  # type: ignore[attr-defined]
        rows = tx.objects.page(found.collection.id, columns=frozenset({"name", "body"}), limit=100)  # type: ignore[attr-defined]
        return {row.name: row.body for row in rows}

    try:
        return session.read(work)
    finally:
        session.close()


def test_calendars_come_with_their_names_and_bytes(ready: Cli, radicale: Path) -> None:
    result = ready("user", "import-radicale", str(radicale))
    assert result.stdout == "3 new, 0 changed, 0 unchanged, 0 not taken\n"
    assert ready("calendar", "list").stdout.splitlines()[1:] == [
        "carol/1f-2e             Carol & co  VEVENT VTODO           2",
        "dave@example.org/tasks  tasks       VEVENT VTODO VJOURNAL  1",
    ]
    assert bodies("carol", "1f-2e") == {
        "a.ics": file_of(event("a")),
        "b b.ics": file_of(event("uid-of-b", more="X-ODD;X-P=1:kept \r\n")),
    }
    assert people(ready)["dave@example.org"]["addresses"] == ["mailto:dave@example.org"]
    assert credentials("carol").password_hash is None


def test_again_is_unchanged_and_what_changed_is_replaced(ready: Cli, radicale: Path) -> None:
    ready("user", "import-radicale", str(radicale))
    assert ready("user", "import-radicale", str(radicale)).stdout.startswith("0 new, 0 changed, 3 unchanged")
    (radicale / "collection-root" / "carol" / "1f-2e" / "a.ics").write_bytes(file_of(event("a", "new")))
    assert ready("user", "import-radicale", str(radicale)).stdout.startswith("0 new, 1 changed, 2 unchanged")
    assert bodies("carol", "1f-2e")["a.ics"] == file_of(event("a", "new"))


def test_a_dry_run_does_nothing(ready: Cli, radicale: Path) -> None:
    result = ready("user", "import-radicale", str(radicale), "--dry-run")
    assert "3 new" in result.stdout
    assert "carol: a new account, without a password" in result.stderr
    assert people(ready) == {}


def test_the_folder_stays_as_it_is_but_for_radicales_lock(ready: Cli, radicale: Path) -> None:
    def content() -> dict[str, bytes]:
        files = [file for file in radicale.rglob("*") if file.is_file() and file.name != ".Radicale.lock"]
        return {str(file): file.read_bytes() for file in files}

    before = content()
    ready("user", "import-radicale", str(radicale))
    assert content() == before


def test_what_is_not_taken_is_named(ready: Cli, radicale: Path) -> None:
    collection(radicale, "carol/book", {"tag": "VADDRESSBOOK"}, {"x.vcf": b"BEGIN:VCARD\r\nEND:VCARD\r\n"})
    collection(radicale, "carol/odd", {"tag": "VCALENDAR"}, {"broken.ics": b"BEGIN:VCALENDAR\r\nnonsense"})
    collection(radicale, "carol/inbox", {"tag": "VCALENDAR"}, {"x.ics": file_of(event("x"))})
    result = ready("user", "import-radicale", str(radicale), status=1)
    assert "not taken: carol/book: an address book with 1 contacts" in result.stderr
    assert "not taken: carol/odd/broken.ics: there is no event" in result.stderr
    assert "not taken: carol/inbox: this name is reserved" in result.stderr
    assert "3 new, 0 changed, 0 unchanged, 3 not taken" in result.stdout


def test_a_subscription_keeps_its_source(ready: Cli, radicale: Path) -> None:
    properties = {"tag": "VSUBSCRIBED", "CS:source": "https://example.org/a?b&c", "D:displayname": "Sub"}
    collection(radicale, "carol/sub", properties, {})
    ready("user", "import-radicale", str(radicale))
    session = Session(None)

    def work(tx: object) -> tuple[str, dict[str, bytes]]:
        from storage.rows import Owner

        found = tx.collections.find("carol", ("sub",)).collection  # type: ignore[attr-defined]
        owner = Owner("collection", found.id)
        values = tx.properties.of([owner], principal_id=0)[owner]  # type: ignore[attr-defined]
        return found.kind.value, {value.name: value.xml for value in values}

    kind, values = session.read(work)
    session.close()
    assert kind == "subscribed"
    assert b"https://example.org/a?b&amp;c</D:href>" in values["source"]


def test_another_folder_is_refused(ready: Cli, tmp_path: Path) -> None:
    assert "is no storage folder of Radicale" in ready("user", "import-radicale", str(tmp_path), status=1).output
