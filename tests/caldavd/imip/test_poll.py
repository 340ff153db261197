"""A mailbox that is looked into."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from caldavd.incoming import poller_of
from scheduling.imip.poll import KEYWORD, TURN, Mailbox, Poller, Unavailable
from storage.errors import Busy
from tests.caldavd.imip.scene import CARL, Office, meeting, reply
from tests.scheduling.imip.imap import Store, serving


@pytest.fixture
def box() -> Iterator[Store]:
    with serving(Store()) as one:
        yield one


def poller(office: Office, box: Store, **mailbox: str) -> Poller:
    made = Mailbox("127.0.0.1", box.port, "calendar", "secret", security="none")
    return Poller(office.store, office.reception, replace(made, **mailbox), 60, 1_000_000)  # type: ignore[arg-type]


def addressed(office: Office, who: str = CARL) -> bytes:
    return f"Delivered-To: {office.tagged(who)}\r\n".encode() + reply(who)


def test_what_is_new_is_taken_once(office: Office, box: Store) -> None:
    office.put(meeting(CARL))
    box.put(addressed(office))
    assert poller(office, box).look() == 1
    assert "PARTSTAT=ACCEPTED" in office.line(CARL)
    assert box.flags() == [{r"\Seen", KEYWORD}]
    assert poller(office, box).look() == 0
    assert len([one for one in office.log() if one.method == "REPLY"]) == 1


def test_what_is_not_for_us_stays_unread(office: Office, box: Store) -> None:
    box.put(b"From: a@else.example\r\nTo: u1@example.org\r\n\r\nHello\r\n")
    assert poller(office, box).look() == 1
    assert box.flags() == [{KEYWORD}]
    assert poller(office, box).look() == 0


def test_a_mailbox_that_keeps_no_keywords(office: Office, box: Store) -> None:
    box.keywords = False
    office.put(meeting(CARL))
    box.put(addressed(office))
    box.put(b"From: a@else.example\r\nTo: u1@example.org\r\n\r\nHello\r\n")
    assert poller(office, box).look() == 2
    assert box.flags() == [{r"\Seen"}, {r"\Seen"}]
    assert poller(office, box).look() == 0
    assert "PARTSTAT=ACCEPTED" in office.line(CARL)


@pytest.mark.parametrize("moves", [True, False])
def test_what_was_taken_is_moved(office: Office, box: Store, moves: bool) -> None:
    box.moves = moves
    box.folders["Done [x]"] = {}
    office.put(meeting(CARL))
    box.put(addressed(office))
    assert poller(office, box, done="Done [x]").look() == 1
    assert [one.raw for one in box.folders["Done [x]"].values()] == [addressed(office)]
    assert poller(office, box, done="Done [x]").look() == 0
    left = box.folders["INBOX"].values()
    assert all(r"\Deleted" in one.flags for one in left)
    assert bool(left) is not moves


def test_what_is_too_large_is_left_alone(office: Office, box: Store) -> None:
    office.put(meeting(CARL))
    box.put(addressed(office))
    small = poller(office, box)
    small.max_size = 10
    assert small.look() == 1
    assert "NEEDS-ACTION" in office.line(CARL)
    assert box.flags() == [{KEYWORD}]


def test_a_mail_that_cannot_be_taken_now_comes_again(
    office: Office, box: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.put(meeting(CARL))
    box.put(addressed(office))

    def busy(*_: object) -> None:
        raise Busy("not now")

    with monkeypatch.context() as patch:
        patch.setattr(type(office.reception), "receive", busy)
        with pytest.raises(Busy):
            poller(office, box).look()
    assert box.flags() == [set()]
    assert poller(office, box).look() == 1
    assert "PARTSTAT=ACCEPTED" in office.line(CARL)


def test_killed_before_the_mail_was_marked(office: Office, box: Store) -> None:
    office.put(meeting("u2@example.org", CARL))
    box.put(addressed(office))
    box.fail = "STORE"
    with pytest.raises(Unavailable):
        poller(office, box).look()
    before = (office.object(), office.object("u2"), office.objects("u1", collection="inbox"))
    assert "PARTSTAT=ACCEPTED" in before[0]
    box.fail = ""
    assert poller(office, box).look() == 1
    assert (office.object(), office.object("u2"), office.objects("u1", collection="inbox")) == before


@pytest.mark.parametrize(("mailbox", "sentence"), [({"password": "wrong"}, "wrong password"), ({"folder": "x"}, "'x'")])
def test_a_mailbox_that_lets_nobody_in(office: Office, box: Store, mailbox: dict[str, str], sentence: str) -> None:
    with pytest.raises(Unavailable, match=sentence):
        poller(office, box, **mailbox).look()


def test_a_server_that_is_away(office: Office) -> None:
    with pytest.raises(Unavailable):
        poller(office, Store(port=9)).look()


def test_one_of_all_workers_looks(office: Office, box: Store) -> None:
    assert poller(office, box).in_turn() == 0
    assert box.logins == 1
    assert poller(office, box).in_turn() == 0
    assert box.logins == 1, "it is not time yet"
    at = office.store.run(lambda tx: tx.queue.next_at(TURN), write=False)
    now = office.store.run(lambda tx: tx.now, write=False)
    assert at is not None
    assert 50 <= at - now <= 60


def test_it_looks_until_it_is_stopped(office: Office, box: Store) -> None:
    office.put(meeting(CARL))
    box.put(addressed(office))
    made = poller(office, box)
    thread = threading.Thread(target=made.run)
    thread.start()
    for _ in range(200):
        if box.flags() != [set()]:
            break
        threading.Event().wait(0.05)
    made.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert "PARTSTAT=ACCEPTED" in office.line(CARL)


def test_as_the_settings_say(office: Office) -> None:
    assert poller_of(office.settings, office.store, office.reception) is None
    incoming = office.settings.incoming.model_copy(update={"imap_host": "imap.example.org", "imap_username": "x"})
    settings = office.settings.model_copy(update={"incoming": incoming})
    made = poller_of(settings, office.store, office.reception)
    assert made is not None
    assert (made.mailbox.host, made.mailbox.port, made.mailbox.security) == ("imap.example.org", 993, "tls")
