"""REPORT (RFC 3253 section 3.6): finds the report by its root element and runs it."""

from __future__ import annotations

from caldavd.context import Context
from caldavd.errors import SUPPORTED_REPORT, failed
from caldavd.reports import REPORTS
from caldavd.resources import Resource
from caldavd.response import Response
from caldavd.xml.parse import tag_of


def run(context: Context, resource: Resource) -> Response:
    """403 ``supported-report`` for what this kind of resource does not answer."""
    root = context.request.required_xml()
    name = tag_of(root)
    report = REPORTS.get(name)
    if report is None or name not in resource.kind.reports:
        context.access.require(resource)
        raise failed(SUPPORTED_REPORT, message="This report is not available on this kind of resource.")
    return report(context, resource, root)
