"""What is answered before anybody has logged in, as one table says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from caldavd import public
from caldavd.app import Application
from caldavd.errors import DavError
from caldavd.proxy import Proxies
from caldavd.public import Method, Public, Space
from caldavd.response import Response
from caldavd.router import PUBLIC_ROOT, Router
from storage.errors import Busy
from tests.caldavd.client import Client

_FORM = "application/x-www-form-urlencoded"


def _told(context: Public) -> Response:
    text = f"{context.request.method} {context.names} {context.request.body!r} {sorted(context.held)}"
    return Response(200, {"Content-Type": "text/plain"}, text.encode())


def _wrote(context: Public) -> Response:
    context.hold("u1")
    context.hold("u1", "u2")
    return _told(context)


def _busy(context: Public) -> Response:
    raise Busy(f"Too many {context.names}.")


def _broken(context: Public) -> Response:
    raise RuntimeError(context.names)


def _page(error: DavError, accept_language: str) -> Response:
    return Response(error.status, {"Content-Type": "text/html"}, f"<p lang={accept_language}>{error}".encode())


@pytest.fixture
def anybody(application: Application, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client without a login, where ``rsvp`` is a space of this test's own."""
    spaces = {"rsvp": Space({"GET": Method(_told), "POST": Method(_wrote, write=True, max_body=100)})}
    monkeypatch.setattr(public, "SPACES", spaces)
    return Client(application, None)


def test_every_space_is_a_name_that_the_router_keeps_for_it() -> None:
    assert set(public.SPACES) <= PUBLIC_ROOT


def test_a_public_path_is_answered_without_a_login(anybody: Client) -> None:
    answer = anybody.request("GET", "/rsvp/to%2Fken/accept")
    assert answer.status == 200
    assert answer.body == b"GET ('to', 'ken', 'accept') b'' []"  # %2F has come as / (WSGI): tokens hold none
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "DAV" not in answer.headers


def test_only_the_public_spaces_are_public(anybody: Client) -> None:
    for path in ("/", "/rsvpx/token", "/calendars/u1/rsvp/", "/freebusy/nothing-is-here-in-this-test"):
        assert anybody.request("GET", path).status == 401, path


def test_head_goes_where_get_goes(anybody: Client) -> None:
    answer = anybody.request("HEAD", "/rsvp/token")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(b"HEAD ('token',) b'' []"))


def test_options_and_405_say_what_there_is(anybody: Client) -> None:
    answer = anybody.request("OPTIONS", "/rsvp/token")
    assert (answer.status, answer.headers["Allow"]) == (200, "OPTIONS, GET, HEAD, POST")
    for method in ("PROPFIND", "PUT", "DELETE", "REPORT", "NONSENSE"):
        answer = anybody.request(method, "/rsvp/token")
        assert (answer.status, answer.headers["Allow"]) == (405, "OPTIONS, GET, HEAD, POST"), method
        assert "DAV" not in answer.headers
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_write_locks_the_homes_that_it_asks_for(anybody: Client) -> None:
    answer = anybody.request("POST", "/rsvp/token", b"answer=yes", Content_Type=_FORM)
    assert answer.body == b"POST ('token',) b'answer=yes' ['u1', 'u2']"


def test_bodies_are_limited_by_the_method(anybody: Client) -> None:
    assert anybody.request("POST", "/rsvp/token", b"x" * 100, Content_Type=_FORM).status == 200
    assert anybody.request("POST", "/rsvp/token", b"x" * 101, Content_Type=_FORM).status == 413
    assert anybody.request("GET", "/rsvp/token", b"x").status == 413


def test_a_link_may_be_longer_than_a_name(anybody: Client) -> None:
    assert anybody.request("GET", f"/rsvp/{'a' * 1500}").status == 200
    assert anybody.request("GET", f"/rsvp/{'a' * 1501}").status == 400
    assert anybody.request("GET", f"/calendars/u1/{'a' * 256}").status == 400


def test_a_space_shows_errors_in_its_own_way(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    methods = {"GET": Method(_busy), "POST": Method(_broken, write=True, max_body=9)}
    monkeypatch.setattr(public, "SPACES", {"rsvp": Space(methods, refusal=_page)})
    anybody = Client(application, None)
    answer = anybody.request("GET", "/rsvp/token", Accept_Language="de")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert answer.body == b"<p lang=de>Too many ('token',)."
    answer = anybody.request("POST", "/rsvp/token", Accept_Language="de")
    assert answer.status == 500
    assert answer.headers["Cache-Control"] == "no-store"
    assert b"token" not in answer.body


def test_a_secret_is_not_logged(
    application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(public, "SPACES", {"rsvp": Space({"GET": Method(_broken)})})
    proxies = Proxies(prefix="/dav")
    logging_all = Client(replace(application, access_log=True, router=Router("/dav"), proxies=proxies), None)
    with caplog.at_level(logging.INFO):
        logging_all.request("GET", "/dav/rsvp/hidden/accept")
        logging_all.request("GET", "/dav/calendars/u1/rsvp/shown")
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "/dav/rsvp/…" in said
    assert "hidden/" not in said
    assert "/dav/calendars/u1/rsvp/shown" in said


def test_below_a_prefix_and_its_href(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "SPACES", {"rsvp": Space({"GET": Method(_told)})})
    router = Router("/dav")
    below = Client(replace(application, router=router, proxies=Proxies(prefix="/dav")), None)
    assert below.request("GET", "/dav/rsvp/a").body == b"GET ('a',) b'' []"
    assert router.href(router.locate("/rsvp/a/b")) == "/dav/rsvp/a/b"


def test_what_is_public_is_nothing_to_copy_to(u1: Client, as_user: Callable[[str], Client]) -> None:
    u1.request("PUT", "/calendars/u1/note.txt", b"x", Content_Type="text/plain")
    answer = u1.request("COPY", "/calendars/u1/note.txt", Destination="/rsvp/note.txt")
    assert answer.status == 403
    assert as_user("u1").request("PROPFIND", "/rsvp/x", Depth="0").status in (404, 405)
