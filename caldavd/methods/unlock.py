"""UNLOCK (RFC 4918 section 9.11): removes a lock from everything that it covers."""

from __future__ import annotations

import re
from typing import Final

from caldavd.access import UNLOCK
from caldavd.context import Context
from caldavd.errors import LOCK_TOKEN_MATCHES_REQUEST_URI, bad_request, failed, not_found
from caldavd.locking import check_if, locks_on
from caldavd.locks import covering
from caldavd.resources import Resource
from caldavd.response import Response, empty

#: ``Lock-Token: <urn:uuid:…>`` (section 10.5).
_LOCK_TOKEN: Final = re.compile(r"\s*<([^<>\s]+)>\s*")


def run(context: Context, resource: Resource) -> Response:
    """204. Whoever took the lock needs no privilege for it, others need ``DAV:unlock`` (section 6.4, RFC 3744 3.5)."""
    if not context.access.visible(resource):
        raise not_found()
    found = _LOCK_TOKEN.fullmatch(context.request.header("Lock-Token") or "")
    if found is None:
        raise bad_request("UNLOCK needs a Lock-Token header with the token in angle brackets.")
    lock = next(
        (lock for lock in covering(locks_on(context, resource), resource.names) if lock.token == found[1]), None
    )
    if lock is not None and lock.principal_id != context.user.id:
        context.access.require(resource, UNLOCK)
    check_if(context, resource)
    if lock is None:
        message = "This resource is not locked by a lock with this token."
        raise failed(LOCK_TOKEN_MATCHES_REQUEST_URI, message=message)
    context.tx.locks.remove(lock.token)
    return empty(204)
