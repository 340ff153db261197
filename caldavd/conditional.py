"""Conditional requests (RFC 9110 section 13, in the order of its section 13.2.2; RFC 6638 section 8.3).

``If-Modified-Since`` and ``If-Unmodified-Since`` count where the ETag's header is missing; a date that cannot be read
is as if it were not there.

``If`` (RFC 4918 section 10.4) and locks are in :mod:`caldavd.locking`.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

from caldavd.access import READ
from caldavd.context import Context
from caldavd.errors import DavError
from caldavd.formats import etag_of_jcal
from caldavd.resources import Resource
from caldavd.response import quoted

_TAG = re.compile(r'(W/)?\\?"((?:[^"\\]|\\(?!"))*)\\?"|([^\s,"]+)')


def entity_tags(value: str) -> list[tuple[str, bool]]:
    r"""The tags of a list as (opaque text, weak).

    Unquoted and ``\"…\"`` ones are taken: real clients send them (clients.md rule 21).
    """
    return [(found[2] if found[3] is None else found[3], found[1] is not None) for found in _TAG.finditer(value)]


class WithCurrentState(DavError):
    """412 whose body is the resource as it is now (RFC 8144 section 3.2)."""

    def __init__(self, message: str, *, headers: dict[str, str], current: bytes) -> None:
        super().__init__(412, message, headers=headers)
        self._current = current

    def body(self) -> bytes:
        """The resource's bytes."""
        return self._current


def check_preconditions(context: Context, resource: Resource) -> None:
    """Raises 412 where the headers forbid a write to the resource as it is now."""
    try:
        _check(context, resource)
    except DavError as error:
        row = resource.object
        wanted = context.request.preferences
        if row is None or not wanted.representation or not context.access.has(resource, READ):
            raise
        stored = context.tx.objects.get(row.collection_id, row.name, columns=frozenset({"body"}))
        assert stored is not None
        headers = {
            "ETag": quoted(row.etag),
            "Content-Location": resource.href,
            "Content-Type": "text/calendar; charset=utf-8" if row.uid else row.content_type,
            **wanted.applied("return=representation"),
        }
        raise WithCurrentState(error.message, headers=headers, current=stored.body) from error


def _check(context: Context, resource: Resource) -> None:
    current = resource.object.etag if resource.object is not None else None
    exists = resource.kind.name != "unmapped"
    _check_unchanged(context, current, resource.object.modified if resource.object is not None else None, exists=exists)
    if_none_match = context.request.header("If-None-Match")
    if if_none_match is not None and _matches(if_none_match, current, exists=exists, weak=True):
        raise DavError(412, "The resource exists already.")
    if_schedule_tag = context.request.header("If-Schedule-Tag-Match")  # RFC 6638 section 8.3
    schedule_tag = resource.object.schedule_tag if resource.object is not None else ""
    if if_schedule_tag is not None and not _matches(if_schedule_tag, schedule_tag or None, exists=False, weak=False):
        raise DavError(412, "The scheduling state has changed since you read it: its Schedule-Tag is another one.")


def _check_unchanged(context: Context, etag: str | None, modified: int | None, *, exists: bool) -> None:
    """``If-Match``, or ``If-Unmodified-Since`` without it. The tags of both forms of an object are of one state."""
    if_match = context.request.header("If-Match")
    if if_match is not None:
        forms = (etag, etag_of_jcal(etag)) if etag is not None else (None,)
        if not any(_matches(if_match, form, exists=exists, weak=False) for form in forms):
            raise DavError(412, "The resource has changed (or is gone) since you read it: its ETag is another one.")
        return
    since = _date(context.request.header("If-Unmodified-Since"))
    if since is not None and modified is not None and modified > since:
        raise DavError(412, "The resource has changed since the time in If-Unmodified-Since.")


def not_modified(context: Context, etag: str, *, modified: int | None = None) -> bool:
    """Whether a GET is answered with 304. Raises 412 where ``If-Match`` or ``If-Unmodified-Since`` does not hold.

    ``modified``: epoch seconds, for what has a ``Last-Modified``.
    """
    _check_unchanged(context, etag, modified, exists=True)
    value = context.request.header("If-None-Match")
    if value is not None:
        return _matches(value, etag, exists=True, weak=True)
    since = _date(context.request.header("If-Modified-Since"))
    return since is not None and modified is not None and modified <= since


def range_holds(context: Context, etag: str) -> bool:
    """Whether ``If-Range`` (section 13.1.5) lets ``Range`` count. A date never does: seconds are too coarse."""
    value = context.request.header("If-Range")
    return value is None or entity_tags(value) == [(etag, False)]


def _date(value: str | None) -> int | None:
    """An HTTP-date in any of the three formats (RFC 9110 section 5.6.7) as epoch seconds."""
    if value is None:
        return None
    try:
        found = parsedate_to_datetime(value)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def _matches(value: str, current: str | None, *, exists: bool, weak: bool) -> bool:
    if value.strip() == "*":
        return exists
    return current is not None and any(tag == current and (weak or not is_weak) for tag, is_weak in entity_tags(value))
