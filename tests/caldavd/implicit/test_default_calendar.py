"""``schedule-default-calendar-URL`` and ``default-calendar-needed`` (RFC 6638 sections 4.3 and 9.2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.store import Store
from tests.caldavd.client import Answer, Client
from tests.caldavd.implicit.scene import calendar, inbox, meeting, members, only
from tests.caldavd.sharing import grant, remove

AsUser = Callable[[str | None], Client]
HOME = "/calendars/u2/"
CAL1, CAL2, WORK = calendar("u1"), calendar("u2"), HOME + "work/"
BOX = inbox("u2")
NAME = "C:schedule-default-calendar-URL"


@pytest.fixture(autouse=True)
def _work(u2: Client) -> None:
    assert u2.request("MKCALENDAR", WORK).status == 201


def default(client: Client, path: str = BOX) -> str:
    """Where invitations go, as the property says."""
    answer = client.propfind(path, f"<{NAME}/>")
    assert answer.status_of(path, NAME) == 200
    return str(answer.xpath(f"string(//{NAME}/D:href)"))


def choose(client: Client, href: str, path: str = BOX) -> Answer:
    """Chooses another default calendar."""
    return client.proppatch(path, set=f"<{NAME}><D:href>{href}</D:href></{NAME}>")


def refused(answer: Answer, condition: str) -> None:
    assert answer.status_of(BOX, NAME) == 403, answer
    assert answer.xpath(f"//D:propstat/D:error/C:{condition}"), answer


def invited(u1: Client, uid: str) -> None:
    assert u1.put(f"{CAL1}{uid}.ics", meeting("u2", uid=uid)).status == 201


def test_it_is_where_invitations_go(u1: Client, u2: Client) -> None:
    assert default(u2) == CAL2
    invited(u1, "a")
    assert len(members(u2, CAL2)) == 1
    assert choose(u2, WORK).status_of(BOX, NAME) == 200
    assert default(u2) == WORK
    invited(u1, "b")
    assert (len(members(u2, CAL2)), len(members(u2, WORK))) == (1, 1)


@pytest.mark.parametrize("form", ["http://localhost" + WORK, HOME + "%77ork"])
def test_it_is_told_in_one_form(u2: Client, form: str) -> None:
    assert choose(u2, form).status_of(BOX, NAME) == 200
    assert default(u2) == WORK


@pytest.mark.parametrize(
    "href",
    [
        CAL1,
        HOME,
        HOME + "none/",
        HOME + "tasks/",
        HOME + "files/",
        BOX,
        "/principals/u2/",
        "http://elsewhere/x/",
        "::",
        "../work/",
    ],
)
def test_valid_schedule_default_calendar_url(u2: Client, href: str) -> None:
    """Section 4.3.1.2: a calendar of the inbox's owner, and one that takes events."""
    u2.request("MKCOL", HOME + "files/")
    refused(choose(u2, href), "valid-schedule-default-calendar-URL")
    assert default(u2) == CAL2


def test_it_cannot_be_removed(u2: Client) -> None:
    """Section 4.3.1.1: invitations have to go somewhere."""
    choose(u2, WORK)
    refused(u2.proppatch(BOX, remove=f"<{NAME}/>"), "default-calendar-needed")
    refused(u2.proppatch(BOX, set=f"<{NAME}/>"), "default-calendar-needed")
    assert default(u2) == WORK


def test_the_default_calendar_is_not_deleted(u1: Client, u2: Client) -> None:
    """Section 4.3: "Servers MUST reject any attempt to delete the default calendar collection"."""
    invited(u1, "a")
    answer = u2.request("DELETE", CAL2)
    assert (answer.status, answer.conditions) == (403, ["default-calendar-needed"])
    assert len(members(u2, CAL2)) == 1
    choose(u2, WORK)
    assert u2.request("DELETE", WORK).conditions == ["default-calendar-needed"]
    assert u2.request("DELETE", CAL2).status == 204
    assert default(u2) == WORK
    invited(u1, "b")
    assert len(members(u2, WORK)) == 1


def test_its_objects_can_be_deleted(u1: Client, u2: Client) -> None:
    invited(u1, "a")
    assert u2.request("DELETE", only(u2, CAL2)).status == 204


def test_others_can_be_deleted(u2: Client) -> None:
    assert u2.request("DELETE", WORK).status == 204
    assert u2.request("DELETE", HOME + "tasks/").status == 204


@pytest.mark.parametrize("chosen", [False, True])
def test_it_follows_where_it_is_moved_to(u1: Client, u2: Client, chosen: bool) -> None:
    source = WORK if chosen else CAL2
    if chosen:
        choose(u2, WORK)
    assert u2.request("MOVE", source, Destination=HOME + "renamed/").status == 201
    assert default(u2) == HOME + "renamed/"
    invited(u1, "a")
    assert len(members(u2, HOME + "renamed/")) == 1
    assert u2.request("DELETE", HOME + "renamed/").conditions == ["default-calendar-needed"]


def test_it_does_not_follow_another_calendar(u2: Client) -> None:
    assert u2.request("MOVE", WORK, Destination=HOME + "renamed/").status == 201
    assert default(u2) == CAL2


def test_it_is_not_moved_out_of_the_home(store: Store, u2: Client, as_user: AsUser) -> None:
    grant(store, "u2", "u3", ["{DAV:}all"])
    u3 = as_user("u3")
    answer = u3.request("MOVE", CAL2, Destination="/calendars/u3/taken/")
    assert (answer.status, answer.conditions) == (403, ["default-calendar-needed"])
    assert u3.request("MOVE", WORK, Destination="/calendars/u3/taken/").status == 201
    assert default(u2) == CAL2


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_it_is_not_overwritten(u2: Client, method: str) -> None:
    answer = u2.request(method, WORK, Destination=CAL2)
    assert (answer.status, answer.conditions) == (403, ["default-calendar-needed"])


def test_where_it_has_gone_in_another_way_the_next_one_counts(store: Store, u1: Client, u2: Client) -> None:
    """For instance by the command line."""
    choose(u2, WORK)
    remove(store, "u2/work")
    assert default(u2) == CAL2
    invited(u1, "a")
    assert len(members(u2, CAL2)) == 1


def test_without_scheduling_calendars_are_deleted_as_before(without_scheduling: AsUser) -> None:
    assert without_scheduling("u2").request("DELETE", CAL2).status == 204


def test_a_group_has_none(u1: Client) -> None:
    team = "/calendars/staff/team/"
    u1.request("MKCALENDAR", team)
    assert u1.request("DELETE", team).status == 204


def test_somebody_else_may_not_choose(u1: Client, u2: Client) -> None:
    assert choose(u1, WORK).status == 403
    assert default(u2) == CAL2


# schedule-calendar-transp (section 9.1)


def test_schedule_calendar_transp(u2: Client) -> None:
    """Opaque unless something else is said; kept by COPY and MOVE; not in allprop."""
    name = "C:schedule-calendar-transp"
    assert u2.propfind(WORK, f"<{name}/>").prop(WORK, f"{name}/C:opaque") is not None
    assert u2.proppatch(WORK, set=f"<{name}><C:transparent/></{name}>").status_of(WORK, name) == 200
    u2.request("COPY", WORK, Destination=HOME + "copied/")
    u2.request("MOVE", WORK, Destination=HOME + "moved/")
    for path in (HOME + "copied/", HOME + "moved/"):
        assert u2.propfind(path, f"<{name}/>").prop(path, f"{name}/C:transparent") is not None
        assert b"schedule-calendar-transp" not in u2.request("PROPFIND", path, Depth="0").body
    for wrong in ("", "<C:other/>", "<C:opaque/><C:transparent/>"):
        assert u2.proppatch(HOME + "moved/", set=f"<{name}>{wrong}</{name}>").status_of(HOME + "moved/", name) == 409
