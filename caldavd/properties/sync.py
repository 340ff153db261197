"""``D:sync-token`` (RFC 6578 section 4) and ``CS:getctag``; the tokens themselves are in :mod:`caldavd.sync_tokens`."""

from __future__ import annotations

from caldavd.context import Context
from caldavd.properties.registry import live
from caldavd.resources import Resource
from caldavd.sync_tokens import SYNCED, ctag, current_token, revision_of
from caldavd.xml.names import cs, dav


@live(dav("sync-token"), on=SYNCED, section="RFC 6578 4")
def sync_token(context: Context, resource: Resource) -> str:
    return current_token(context, resource)


@live(cs("getctag"), on=SYNCED, section="caldav-ctag 4.1")
def getctag(context: Context, resource: Resource) -> str:
    return ctag(context.store.epoch, resource.collection, revision_of(resource))
