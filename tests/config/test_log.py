"""Lines of the log: one each, with the request's id, as text or as JSON."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from config import log


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    root.handlers = []
    yield io.StringIO()
    root.handlers, root.level = before


def test_text_has_time_level_place_request_and_message(stream: io.StringIO) -> None:
    log.configure(level="info", style="text", stream=stream)
    with log.request() as name:
        logging.getLogger("caldavd.app").info("PUT %s", "/x")
    logging.getLogger("caldavd.app").debug("not important enough")
    line = stream.getvalue()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO caldavd\.app \[[0-9a-f]{16}\] PUT /x\n", line)
    assert f"[{name}]" in line


def test_a_client_cannot_forge_a_line(stream: io.StringIO) -> None:
    log.configure(level="info", style="text", stream=stream)
    logging.getLogger("x").info("GET %s", "/a\r\n2026 INFO x [-] all is well")
    assert stream.getvalue().count("\n") == 1
    assert "\\r\\n2026" in stream.getvalue()


def test_json_has_the_extra_fields_and_the_exception(stream: io.StringIO) -> None:
    log.configure(level="info", style="json", stream=stream)
    try:
        raise ValueError("ä\nb")
    except ValueError:
        logging.getLogger("x").exception("it broke", extra={"status": 500, "path": "/ä"})
    assert stream.getvalue().count("\n") == 1
    line = json.loads(stream.getvalue())
    assert (line["level"], line["logger"], line["message"], line["request"]) == ("ERROR", "x", "it broke", "-")
    assert (line["status"], line["path"]) == (500, "/ä")
    assert "ValueError: ä" in line["exception"]
    assert set(line) == {"time", "level", "logger", "message", "request", "status", "path", "exception"}


@pytest.mark.parametrize("offered", ["abc-123", "0af7651916cd43dd8448eb211c80319c"])
def test_a_harmless_id_of_a_proxy_is_kept(offered: str) -> None:
    with log.request(offered) as name:
        assert name == offered == log.request_id()
    assert log.request_id() == "-"


@pytest.mark.parametrize("offered", ["", None, "a b", "x" * 65, "a\nb", "ä"])
def test_another_one_is_not(offered: str | None) -> None:
    with log.request(offered) as name:
        assert re.fullmatch("[0-9a-f]{16}", name)
