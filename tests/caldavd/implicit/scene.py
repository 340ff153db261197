"""What the tests of implicit scheduling put, and how they look at what became of it."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.caldavd.client import Answer, Client

AsUser = Callable[[str | None], Client]


def calendar(name: str) -> str:
    """The default calendar of somebody."""
    return f"/calendars/{name}/calendar/"


def inbox(name: str) -> str:
    """The inbox of somebody."""
    return f"/calendars/{name}/inbox/"


def outbox(name: str) -> str:
    """The outbox of somebody."""
    return f"/calendars/{name}/outbox/"


def meeting(
    *attendees: str,
    uid: str = "m",
    organizer: str = "u1",
    summary: str = "Plan",
    start: str = "20270310T120000Z",
    more: str = "",
    after: str = "",
) -> str:
    """A meeting as the organizer's client writes it. ``more``: lines of the event, ``after``: further components."""
    guests = "".join(f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{name}@example.org\r\n" for name in attendees)
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//tests//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:{start}\r\nDURATION:PT1H\r\nSUMMARY:{summary}\r\n"
        f"ORGANIZER:mailto:{organizer}@example.org\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:{organizer}@example.org\r\n"
        f"{guests}{more}END:VEVENT\r\n{after}END:VCALENDAR\r\n"
    )


def members(client: Client, path: str) -> list[str]:
    """The hrefs of what lies in a collection."""
    answer = client.propfind(path, "<D:getetag/>", depth=1)
    assert answer.status == 207, answer
    return [href for href in answer.hrefs if href != path]


def text(client: Client, href: str) -> str:
    """An object, unfolded."""
    answer = client.request("GET", href)
    assert answer.status == 200, answer
    return answer.body.decode().replace("\r\n ", "")


def only(client: Client, path: str) -> str:
    """The href of the only thing in a collection."""
    found = members(client, path)
    assert len(found) == 1, found
    return found[0]


def copy_of(client: Client, uid: str = "m") -> str | None:
    """The href of the client's object with this UID, wherever it is in the home."""
    name = client.user
    for path in client.propfind(f"/calendars/{name}/", "<D:resourcetype/>", depth=1).hrefs[1:]:
        if path not in (inbox(str(name)), outbox(str(name))) and path.endswith("/"):
            for href in members(client, path):
                if f"UID:{uid}\r\n" in text(client, href):
                    return href
    return None


def line(body: str, name: str, *, of: str = "ATTENDEE") -> str:
    """The first line of somebody."""
    return next(one for one in body.splitlines() if one.startswith(of) and f"mailto:{name}@example.org" in one)


def param(body: str, name: str, key: str, *, of: str = "ATTENDEE") -> str | None:
    """A parameter of somebody's first line."""
    found = re.search(rf';{key}="?([^;:"]*)', line(body, name, of=of))
    return found[1] if found else None


def messages(client: Client) -> list[str]:
    """The METHODs of what is in the client's inbox, sorted."""
    found = [text(client, href) for href in members(client, inbox(str(client.user)))]
    return sorted(one.split("METHOD:")[1].split("\r")[0] for one in found)


def empty_inbox(client: Client) -> None:
    """Deletes what is in the inbox, as clients do."""
    for href in members(client, inbox(str(client.user))):
        assert client.request("DELETE", href).status == 204


def tag(client: Client, href: str) -> str:
    """The Schedule-Tag of an object: the same in GET, HEAD and as the property."""
    answer = client.request("GET", href)
    value = answer.headers["Schedule-Tag"]
    assert client.request("HEAD", href).headers["Schedule-Tag"] == value
    assert client.propfind(href, "<C:schedule-tag/>").xpath("string(//C:schedule-tag)") == value
    return value


def answered(body: str, name: str, partstat: str) -> str:
    """An object as ``name``'s client writes it with an answer."""
    before = line(body, name)
    after = re.sub(r"PARTSTAT=[A-Z-]+", f"PARTSTAT={partstat}", before)
    assert "PARTSTAT" in after
    return body.replace(before, after)


def reply(client: Client, partstat: str, uid: str = "m") -> Answer:
    """The client answers an invitation."""
    href = copy_of(client, uid)
    assert href is not None
    answer = client.put(href, answered(text(client, href), str(client.user), partstat))
    assert answer.status == 204, answer
    return answer


def needed(answer: Answer) -> list[tuple[str, str]]:
    """What ``need-privileges`` names: hrefs and the local names of privileges."""
    assert answer.status == 403, answer
    assert answer.conditions == ["need-privileges"], answer
    resources = answer.xpath("/D:error/D:need-privileges/D:resource")
    return [(one.findtext("{DAV:}href"), one.find("{DAV:}privilege")[0].tag.rpartition("}")[2]) for one in resources]
