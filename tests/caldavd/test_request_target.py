"""Requests that must not be taken for another one."""

from __future__ import annotations

import pytest
import webob

from caldavd.app import Application
from tests.caldavd.client import Client, basic, event


@pytest.mark.parametrize("name", ["RAW_URI", "REQUEST_URI"])
def test_a_fragment_is_refused(application: Application, u1: Client, name: str) -> None:
    """litmus `delete_fragment`: a DELETE of /collection/#part must not delete the collection."""
    path = "/calendars/u1/calendar/"
    assert u1.put(path + "e.ics", event("e")).status == 201
    request = webob.Request.blank(path, method="DELETE")
    request.headers["Authorization"] = basic("u1")
    request.environ["REMOTE_ADDR"] = "127.0.0.1"
    request.environ[name] = path + "#part"
    assert request.get_response(application).status_code == 400
    assert u1.request("GET", path + "e.ics").status == 200


def test_a_chunked_body_that_the_server_does_not_undo_is_not_an_empty_one(application: Application, u1: Client) -> None:
    """uWSGI leaves ``wsgi.input`` empty then: what is stored would be nothing (RFC 9110 15.5.12)."""
    request = webob.Request.blank("/calendars/u1/note.txt", method="PUT", headers={"Transfer-Encoding": "chunked"})
    request.headers["Authorization"] = basic("u1")
    request.environ["REMOTE_ADDR"] = "127.0.0.1"
    request.environ.pop("CONTENT_LENGTH", None)
    assert request.get_response(application).status_code == 411
    assert u1.request("GET", "/calendars/u1/note.txt").status == 404
