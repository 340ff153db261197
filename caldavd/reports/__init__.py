"""Reports: one module each, one dict from the element that asks to the function that answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from caldavd.context import Context
from caldavd.resources import Resource
from caldavd.response import Response
from caldavd.xml.parse import Element

Report = Callable[[Context, Resource, Element], Response]

from caldavd import kinds  # noqa: E402
from caldavd.reports import (  # noqa: E402
    acl_principal_prop_set,
    calendar_query,
    expand_property,
    free_busy_query,
    multiget,
    principal_match,
    principal_search,
    sync_collection,
)

REPORTS: Final[dict[str, Report]] = {
    kinds.SYNC_COLLECTION: sync_collection.run,
    kinds.CALENDAR_MULTIGET: multiget.run,
    kinds.CALENDAR_QUERY: calendar_query.run,
    kinds.FREE_BUSY_QUERY: free_busy_query.run,
    kinds.EXPAND_PROPERTY: expand_property.run,
    kinds.PRINCIPAL_MATCH: principal_match.run,
    kinds.ACL_PRINCIPAL_PROP_SET: acl_principal_prop_set.run,
    kinds.PRINCIPAL_PROPERTY_SEARCH: principal_search.property_search,
    kinds.PRINCIPAL_SEARCH_PROPERTY_SET: principal_search.search_property_set,
    kinds.CALENDARSERVER_PRINCIPAL_SEARCH: principal_search.token_search,
}
