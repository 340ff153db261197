"""Logging: one stream (standard error), plain text or JSON, every line with the id of the request it belongs to.

The id is kept in a context variable, so code below the request handler logs with ``logging.getLogger(__name__)`` and
needs to know nothing of it. Who reads ``X-Request-Id`` from trusted proxies and who answers with it is ``caldavd.app``.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import IO, Literal

Format = Literal["text", "json"]

_request_id: ContextVar[str] = ContextVar("request_id", default="-")

#: What is taken over from a proxy: short, printable, nothing that could forge a line of the log.
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._:+/=-]{1,64}")

#: The attributes that every record has; all others were given as ``extra`` and are written out in JSON.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request_id", "taskName"}


def request_id() -> str:
    """The id of the request that this thread is working on, or ``-`` outside of one."""
    return _request_id.get()


@contextmanager
def request(offered: str | None = None) -> Iterator[str]:
    """Names the request for all that is logged inside the block; yields the id.

    Args:
        offered: the id that a trusted proxy gave; taken over if it is short and harmless, else a new one is drawn.
    """
    chosen = offered if offered and _ACCEPTABLE.fullmatch(offered) else secrets.token_hex(8)
    token = _request_id.set(chosen)
    try:
        yield chosen
    finally:
        _request_id.reset(token)


class _WithRequestId(logging.Filter):
    """Adds ``request_id`` to every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "request_id"):
            record.request_id = _request_id.get()
        return True


class TextFormatter(logging.Formatter):
    """``2026-03-01T12:00:00Z INFO caldavd.app [3f2a…] message``; line ends in messages are escaped, tracebacks kept."""

    def usesTime(self) -> bool:  # noqa: N802
        """The time is written with the rest of the line, in UTC (RFC 3339)."""
        return False

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """One line, whatever a client put into it."""
        message = record.message.replace("\r", "\\r").replace("\n", "\\n")
        request = getattr(record, "request_id", "-")
        return f"{_rfc3339(record.created)} {record.levelname} {record.name} [{request}] {message}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, request, message, the ``extra`` fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; values that JSON does not know are written as text."""
        fields: dict[str, object] = {
            "time": _rfc3339(record.created),
            "level": record.levelname,
            "logger": record.name,
            "request": getattr(record, "request_id", "-"),
            "message": record.getMessage(),
        }
        fields.update((key, value) for key, value in vars(record).items() if key not in _USUAL)
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


def _rfc3339(seconds: float) -> str:
    return f"{_whole(int(seconds))}.{int(seconds * 1000) % 1000:03}Z"


@lru_cache(maxsize=16)
def _whole(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


#: Libraries that tell each of their steps at level info; "mail" is aiosmtpd.
_TALKATIVE = ("alembic", "radicale", "mail")

#: The formatter for each ``[logging] format``.
FORMATTERS: dict[Format, type[logging.Formatter]] = {"text": TextFormatter, "json": JsonFormatter}


def configure(*, level: str, style: Format, stream: IO[str] | None = None) -> logging.Handler:
    """Sends everything at ``level`` and above to ``stream`` (standard error); replaces what was configured before."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(FORMATTERS[style]())
    handler.addFilter(_WithRequestId())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Neither form tells threads and processes: every request is a line here, and finding them out is a fifth of it.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(level_of_libraries(level).upper())
    return handler


def level_of_libraries(level: str) -> str:
    """From which level on libraries speak that tell each of their steps: from warnings, unless all is asked for."""
    return "warning" if level == "info" else level
