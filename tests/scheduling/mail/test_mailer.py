"""E-mails: their form, their languages, what hostile values do to them; and SMTP with TLS and a login."""

from __future__ import annotations

import json
import ssl
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from scheduling import itip
from scheduling.ical.lines import escape, fold
from scheduling.itip import Actor, Message
from scheduling.mail.mailer import Letterhead, Refused, Smtp, Unavailable, compose
from scheduling.mail.posting import Mail, decoded, jobs
from scheduling.mail.wording import LANGUAGES, language
from tests.scheduling.mail.posting_scene import ANNA, BERT, CARL, LETTERHEAD, meeting
from tests.scheduling.mail.smtp import Sink, listening

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def messages(before: bytes | None, after: bytes | None, actor: str = ANNA) -> tuple[Message, ...]:
    return itip.outgoing(before, after, Actor(frozenset({actor})), now=NOW).messages


def invitation(text: bytes | None = None) -> Mail:
    return Mail(messages(None, text or meeting(BERT))[0], name="Anna Example")


def read_back(mail: EmailMessage) -> EmailMessage:
    found = message_from_bytes(mail.as_bytes(), policy=default)
    assert isinstance(found, EmailMessage)
    assert [part.defects for part in found.walk()] == [[] for _ in found.walk()]
    return found


def plain(mail: EmailMessage) -> str:
    body = read_back(mail).get_body(("plain",))
    assert body is not None
    text: str = body.get_content()
    return text.replace("\r\n", "\n")


def html(mail: EmailMessage) -> str:
    body = read_back(mail).get_body(("html",))
    assert body is not None
    text: str = body.get_content()
    return text.replace("\r\n", "\n")


def calendars(mail: EmailMessage) -> list[bytes]:
    kinds = ("text/calendar", "application/ics")
    found = [part.get_payload(decode=True) for part in read_back(mail).walk() if part.get_content_type() in kinds]
    return [one for one in found if isinstance(one, bytes)]


def test_the_form_of_an_invitation() -> None:
    mail = read_back(compose(invitation(), LETTERHEAD))
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/calendar",
        "application/ics",
    ]
    calendar = next(part for part in mail.walk() if part.get_content_type() == "text/calendar")
    assert dict(calendar["Content-Type"].params) == {"charset": "utf-8", "method": "REQUEST", "component": "vevent"}
    assert calendar["Content-Transfer-Encoding"] == "base64"
    file = next(mail.iter_attachments())
    assert (file.get_filename(), file.get_content_disposition()) == ("invite.ics", "attachment")
    text, again = calendars(mail)
    assert text == again == invitation().message.text
    assert text.startswith(b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n")
    assert mail["From"] == "Anna Example <calendar@here.example>"
    assert mail["To"] == "bert@else.example"
    assert mail["Reply-To"] == "Anna Example <anna@here.example>"
    assert mail["Subject"] == "Invitation: Plan"
    assert mail["Date"].datetime == NOW
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "en"
    assert mail["Message-ID"] == f"<{invitation().message.key[:40]}@here.example>"


def test_the_same_message_is_the_same_mail() -> None:
    assert compose(invitation(), LETTERHEAD).as_bytes() == compose(invitation(), LETTERHEAD).as_bytes()
    other = Mail(messages(None, meeting(CARL))[0])
    assert compose(other, LETTERHEAD)["Message-ID"] != compose(invitation(), LETTERHEAD)["Message-ID"]


def test_the_mails_of_one_meeting_belong_together() -> None:
    first = compose(invitation(), LETTERHEAD)
    later = meeting(BERT, hour=16)
    second = compose(Mail(messages(meeting(BERT), later)[0], before=meeting(BERT)), LETTERHEAD)
    third = compose(Mail(messages(later, None)[0], before=later), LETTERHEAD)
    elsewhere = compose(invitation(meeting(BERT, uid="u2")), LETTERHEAD)
    assert first["References"] == second["References"] == third["References"] != elsewhere["References"]
    assert first["In-Reply-To"] is None
    assert second["In-Reply-To"] == third["In-Reply-To"] == first["References"]
    assert [mail["Subject"] for mail in (first, second, third)] == [
        "Invitation: Plan",
        "Updated: Plan",
        "Cancelled: Plan",
    ]


def test_what_was_changed_is_told() -> None:
    before, after = meeting(BERT), meeting(BERT, CARL, hour=16)
    mails = {one.recipient: compose(Mail(one, "Anna", before=before), LETTERHEAD) for one in messages(before, after)}
    told = plain(mails[BERT])
    assert told.startswith("Anna has changed this invitation.\nChanged: When.\n")
    assert "When: Thursday, 5 March 2026, 16:00\N{EN DASH}17:00 (Europe/Berlin, UTC+01:00)\n" in told
    assert "    (was: Thursday, 5 March 2026, 14:00\N{EN DASH}15:00 (Europe/Berlin, UTC+01:00))\n" in told
    assert mails[CARL]["Subject"] == "Invitation: Plan", "it is new to him"
    assert "Changed" not in plain(mails[CARL])
    assert "(was: Thursday, 5 March 2026, 14:00" in html(mails[BERT])


@pytest.mark.parametrize(
    ("tags", "spoken", "line"),
    [
        (("", "de-AT", "en"), "de", "Wann: Donnerstag, 5. März 2026, 14:00\N{EN DASH}15:00 (Europe/Berlin, UTC+01:00)"),
        (("en-GB", "de", "de"), "en", "When: Thursday, 5 March 2026, 14:00\N{EN DASH}15:00 (Europe/Berlin, UTC+01:00)"),
        (("tlh", "", ""), "en", "What: Plan"),
        (("", "", "de"), "de", "Teilnehmer: Anna, bert@else.example"),
    ],
)
def test_the_language_is_the_recipients_else_the_senders_else_the_servers(
    tags: tuple[str, str, str], spoken: str, line: str
) -> None:
    recipient, sender, server = tags
    text = meeting(BERT)
    if recipient:
        text = text.replace(b"RSVP=TRUE:", f"RSVP=TRUE;LANGUAGE={recipient}:".encode())
    mail = compose(replace(invitation(text), language=sender), replace(LETTERHEAD, language=server))
    assert mail["Content-Language"] == spoken
    assert line in plain(mail).splitlines()
    assert f'lang="{spoken}"' in html(mail)


def test_every_language_says_everything() -> None:
    english = LANGUAGES["en"]
    for one in LANGUAGES.values():
        assert list(one.sentences) == list(english.sentences), one.tag
        assert (len(one.weekdays), len(one.months)) == (7, 12)
        for key, sentence in one.sentences.items():
            fields = {"name": "N", "title": "T", "labels": "L", "text": "X", "n": 2, "days": "D", "date": "E"}
            fields |= {"address": "A", "when": "W", "reason": "R"}
            assert "{" not in sentence.format(**fields), (one.tag, key)
    assert language(["xx", "DE_de"]).tag == "de"
    assert language([]).tag == "en"


BERLIN = "(Europe/Berlin, UTC+01:00)"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("DTSTART:20260305T130000Z\nDTEND:20260305T140000Z", f"When: Thursday, 5 March 2026, 14:00-15:00 {BERLIN}"),
        ("DTSTART:20260705T130000Z", "When: Sunday, 5 July 2026, 15:00 (Europe/Berlin, UTC+02:00)"),
        (
            "DTSTART;TZID=America/New_York:20260305T230000\nDURATION:PT2H",
            "When: Thursday, 5 March 2026, 23:00 - Friday, 6 March 2026, 01:00 (America/New_York, UTC-05:00)",
        ),
        ("DTSTART;VALUE=DATE:20260305", "When: Thursday, 5 March 2026"),
        (
            "DTSTART;VALUE=DATE:20260305\nDTEND;VALUE=DATE:20260308",
            "When: Thursday, 5 March 2026 - Saturday, 7 March 2026",
        ),
        ("DTSTART:20260305T090000\nDTEND:20260305T100000", "When: Thursday, 5 March 2026, 09:00-10:00"),
        (
            "DTSTART:20260305T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH;COUNT=5",
            "Repeats: every 2 weeks, on Monday, Thursday, 5 times",
        ),
        (
            "DTSTART:20260305T090000\nRRULE:FREQ=MONTHLY;UNTIL=20261231T000000",
            "Repeats: every month, until Thursday, 31 December 2026",
        ),
        ("DTSTART:20260305T090000\nLOCATION:Room 1\\, left", "Where: Room 1, left"),
        ("DTSTART:20260305T090000\nURL:https://meet.example/x", "Link: https://meet.example/x"),
    ],
)
def test_when_and_where(lines: str, told: str) -> None:
    text = meeting(BERT).decode().replace("\r\n", "\n")
    start, end = text.index("DTSTART"), text.index("SUMMARY")
    text = text[:start] + lines + "\n" + text[end:]
    mail = compose(replace(invitation(text.encode()), timezone="Europe/Berlin"), LETTERHEAD)
    assert told in plain(mail).replace("\N{EN DASH}", "-").splitlines()


@pytest.mark.parametrize(
    ("partstat", "subject", "sentence"),
    [
        ("ACCEPTED", "Accepted: Plan", "Bert has accepted."),
        ("DECLINED", "Declined: Plan", "Bert has declined."),
        ("TENTATIVE", "Maybe: Plan", "Bert may come."),
    ],
)
def test_an_answer_goes_to_the_organizer(partstat: str, subject: str, sentence: str) -> None:
    before = meeting(BERT).replace(b"ATTENDEE;RSVP=TRUE", b"ATTENDEE;CN=Bert;RSVP=TRUE")
    after = before.replace(b"CN=Bert;RSVP=TRUE", f"CN=Bert;PARTSTAT={partstat}".encode())
    (message,) = messages(before, after, BERT)
    mail = compose(Mail(message, before=before), LETTERHEAD)
    assert mail["Subject"] == subject
    assert plain(mail).startswith(sentence)
    assert mail["To"] == "Anna <anna@here.example>"
    assert mail["Reply-To"] == "Bert <bert@else.example>"
    assert "open the attached invitation" not in plain(mail)


def test_who_is_taken_off_is_told_so() -> None:
    before = meeting(BERT, CARL)
    (message,) = (one for one in messages(before, meeting(BERT)) if one.recipient == CARL)
    assert message.method == "CANCEL"
    mail = compose(Mail(message, "Anna", before=before), LETTERHEAD)
    assert mail["Subject"] == "Cancelled: Plan"
    assert plain(mail).startswith("Anna has taken you off the list of attendees.")


def test_links_take_the_place_of_the_hint() -> None:
    links = {"accept": "https://here.example/rsvp/1?a=1&b=2", "propose": "https://here.example/rsvp/2"}
    mail = compose(invitation(), LETTERHEAD, links=links)
    assert "Accept: https://here.example/rsvp/1?a=1&b=2\nPropose another time: " in plain(mail)
    assert 'href="https://here.example/rsvp/1?a=1&amp;b=2">Accept</a>' in html(mail)
    assert "open the attached" not in plain(mail)


# --- hostile values --------------------------------------------------------------------------------------------------

HOSTILE = [
    "x\\nBcc: victim@else.example",
    "x\r\n Bcc: victim@else.example",
    "x\u2028Bcc: victim@else.example",
    "=?utf-8?q?x=0ABcc:_victim@else.example?=",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\u202egnp.exe",
    "a" * 5000,
    "\x07\x1b[31mred",
    "{name} %s {0.__class__}",
    "--=_boundary",
    "=?utf-8?q?=0D=0A=0D=0Abody?=",
    "=?utf-8?b?eA0KQmNjOiB4QHk=?= =?utf-8?q?=0A?=",
    "",
]


def hostile(value: str) -> bytes:
    text = meeting(BERT).decode()
    text = text.replace("SUMMARY:Plan\r\n", fold(f"SUMMARY:{value}").decode())
    name = value.replace('"', "'").replace("\\n", "^n").replace("\r\n", "^n")
    text = text.replace("CN=Anna", f'CN="{name}"').replace("RSVP=TRUE", f'CN="{name}"')
    return text.replace("END:VEVENT", f"LOCATION:{escape(value)}\r\nDESCRIPTION:{escape(value)}\r\nEND:VEVENT").encode()


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_stay_values(value: str) -> None:
    mail = Mail(messages(None, hostile(value))[0])
    composed = compose(mail, LETTERHEAD)
    found = read_back(composed)
    assert set(found.keys()) == {
        "From", "To", "Reply-To", "Subject", "Date", "Message-ID", "References", "Auto-Submitted", "Content-Language",
        "MIME-Version", "Content-Type",
    }  # fmt: skip
    assert [one.addr_spec for one in found["To"].addresses] == ["bert@else.example"]
    assert [one.addr_spec for one in found["From"].addresses] == ["calendar@here.example"]
    assert all(part.get_content_type() != "text/x-new" for part in found.walk())
    assert len(list(found.walk())) == 6
    page = html(composed)
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page + plain(composed) + found["Subject"]
    assert "\x1b" not in page + plain(composed) + found["Subject"]
    assert max(len(line) for line in composed.as_bytes().split(b"\r\n")) <= 998  # RFC 5322 2.1.1


_SIGNS = ["=?utf-8?q?", "=0A", "=0D=0A", "?=", "=", "?", " ", "Bcc: x@y", "\n", "\r", '"', "\\", "ä", "<", ">", ","]
_NASTY = st.lists(st.sampled_from(_SIGNS) | st.text(max_size=3)).map("".join)


@settings(max_examples=300, deadline=None)
@given(name=_NASTY, summary=_NASTY)
def test_any_name_and_title(name: str, summary: str) -> None:
    """The library's decoding of encoded words was a way to break out of a field."""
    message = invitation().message
    text = message.text.replace(
        b"SUMMARY:Plan", b"SUMMARY:" + escape(summary.replace("\0", "")).encode(errors="replace")
    )
    found = read_back(compose(Mail(replace(message, text=text), name=name), LETTERHEAD))
    assert [one.addr_spec for one in found["From"].addresses] == ["calendar@here.example"]
    assert [one.addr_spec for one in found["To"].addresses] == ["bert@else.example"]
    assert len(list(found.walk())) == 6
    assert found["Bcc"] is None


@pytest.mark.parametrize(
    "address",
    ["mailto:a@b@c", "mailto:a,b@c.example", "mailto:%22a%20b%22@c.example", "urn:uuid:1", "mailto:", "/principals/x"],
)
def test_what_is_no_mail_address_gets_no_mail(address: str) -> None:
    message = replace(invitation().message, recipient=address)
    with pytest.raises(ValueError, match="no address that mail can be sent to"):
        compose(Mail(message), LETTERHEAD)


@pytest.mark.parametrize("local", ["a..b", ".a", "a.", "o'hara+x", "a/b=c"])
def test_odd_local_parts(local: str) -> None:
    message = replace(invitation().message, recipient=f"mailto:{local}@else.example")
    (to,) = read_back(compose(Mail(message), LETTERHEAD))["To"].addresses
    assert (to.username, to.domain) == (local, "else.example")


def test_a_mail_of_the_queue_is_what_it_was() -> None:
    one = Mail(invitation().message, "Änne", "de", "Europe/Berlin", before=meeting(BERT))
    first, second = jobs([one, invitation()])
    assert decoded(first.payload, first.text) == one
    assert decoded(second.payload, second.text) == invitation()
    for payload, text in ((b"{", first.text), (first.payload, b"something else")):
        with pytest.raises(ValueError, match="no mail of the queue"):
            decoded(payload, text)


def test_a_thousand_invitations_hold_one_text() -> None:
    mails = [
        Mail(one) for one in messages(None, meeting(*(f"mailto:p{number}@else.example" for number in range(1000))))
    ]
    made = jobs(mails)
    assert len(made) == len({job.key for job in made}) == 1000
    assert len({job.text for job in made}) == 1


# --- SMTP ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    request = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    alternative = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*request.split(), *alternative], cwd=folder, check=True, capture_output=True, timeout=60)
    return folder


def tls_of(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def send(server: Smtp) -> str:
    with server.connected() as connection:
        return connection.send(compose(invitation(), LETTERHEAD), recipient="bert@else.example")


def test_starttls_with_a_login(certificate: Path) -> None:
    with listening(Sink(), tls=tls_of(certificate), auth=True) as sink:
        server = Smtp(
            "127.0.0.1",
            sink.port,
            "calendar@here.example",
            username="caldavd",
            password="secret",
            timeout=5,
            ca_file=certificate / "cert.pem",
        )
        assert send(server) == "250 OK, queued"
        assert sink.logins == [b"caldavd"]
        assert sink.recipients == ["bert@else.example"]
        with pytest.raises(Unavailable, match="535"):
            send(replace(server, password="wrong"))
        with pytest.raises(Unavailable, match="certificate"):
            send(replace(server, ca_file=None))
        with pytest.raises(Unavailable, match=r"the certificates in /no\.pem cannot be used: .*No such file"):
            send(replace(server, ca_file=Path("/no.pem")))
        with pytest.raises(Unavailable):
            send(replace(server, security="none", username=""))
        assert len(sink.mails) == 1


def test_tls_from_the_start(certificate: Path) -> None:
    with listening(Sink(), tls=tls_of(certificate), implicit_tls=True) as sink:
        server = Smtp("127.0.0.1", sink.port, "c@here.example", "tls", timeout=5, ca_file=certificate / "cert.pem")
        send(server)
        assert sink.recipients == ["bert@else.example"]


def test_starttls_is_not_given_up_where_the_server_has_none() -> None:
    with listening(Sink()) as sink, pytest.raises(Unavailable, match="STARTTLS"):
        send(Smtp("127.0.0.1", sink.port, "c@here.example", timeout=5))
    assert sink.mails == []


def test_nobody_listens() -> None:
    with listening(Sink()) as sink:
        pass
    with pytest.raises(Unavailable, match=f"127.0.0.1:{sink.port}"):
        send(Smtp("127.0.0.1", sink.port, "c@here.example", "none", timeout=5))


def test_several_mails_over_one_connection_some_refused() -> None:
    with listening(Sink()) as sink:
        sink.rcpt["carl@else.example"] = "550 no"
        sink.data = lambda mail: "451 full" if "dora" in mail["To"] else None
        server = Smtp("127.0.0.1", sink.port, "c@here.example", "none", timeout=5)
        with server.connected() as connection:
            for name, permanent in (("bert", None), ("carl", True), ("dora", False), ("emil", None)):
                message = replace(invitation().message, recipient=f"mailto:{name}@else.example")
                composed = compose(Mail(message), LETTERHEAD)
                if permanent is None:
                    connection.send(composed, recipient=f"{name}@else.example")
                    continue
                with pytest.raises(Refused) as refused:
                    connection.send(composed, recipient=f"{name}@else.example")
                assert refused.value.permanent is permanent
        assert sink.recipients == ["bert@else.example", "emil@else.example"]


def test_an_address_beyond_ascii() -> None:
    message = replace(invitation().message, recipient="mailto:bärbel@else.example")
    with listening(Sink()) as sink:
        with Smtp("127.0.0.1", sink.port, "c@here.example", "none", timeout=5).connected() as connection:
            connection.send(compose(Mail(message), LETTERHEAD), recipient="bärbel@else.example")
        assert sink.recipients == ["bärbel@else.example"]


def test_a_letterhead_knows_its_domain() -> None:
    assert Letterhead("a@b.example").domain == "b.example"


def test_zones_that_are_only_named_are_defined_for_others() -> None:
    """RFC 5545 3.2.19: outside of this server nobody has to know what Europe/Berlin is."""
    for text in calendars(compose(invitation(), LETTERHEAD)):
        assert text.count(b"BEGIN:VTIMEZONE") == 1
        assert text.index(b"TZID:Europe/Berlin") < text.index(b"BEGIN:VEVENT")


def test_who_lives_here_is_told_in_their_own_language_and_zone() -> None:
    mail = compose(replace(invitation(), reader_language="de", reader_timezone="America/New_York"), LETTERHEAD)
    assert mail["Content-Language"] == "de"
    assert "(America/New_York, UTC-05:00)" in plain(mail)


def test_a_mail_that_an_older_version_has_queued_is_read() -> None:
    (job,) = jobs([invitation()])
    head = json.loads(job.payload)
    for name in ("reader_language", "reader_timezone", "notice"):
        del head[name]
    assert decoded(json.dumps(head).encode(), job.text) == invitation()


def test_only_the_whole_mail_has_a_mime_version() -> None:
    mail = compose(invitation(), LETTERHEAD)
    assert mail.as_bytes().count(b"MIME-Version: 1.0") == 1
