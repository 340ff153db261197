"""What a request can fail with: one table of preconditions, one exception, one place that renders them.

A precondition is an element inside ``D:error`` (RFC 4918 section 16) with the status that goes with it and the section
that defines it. Handlers ``raise failed(NO_UID_CONFLICT, href(…))``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from caldavd.xml.fragment import document, element, text
from caldavd.xml.names import caldav, dav, own
from storage import errors as store


@dataclass(frozen=True, slots=True)
class Condition:
    """A precondition or postcondition: Clark name, HTTP status, where it is defined."""

    name: str
    status: int
    section: str

    @property
    def local(self) -> str:
        """The name without its namespace."""
        return self.name.rpartition("}")[2]


def _dav(local: str, status: int, section: str) -> Condition:
    return Condition(dav(local), status, section)


def _caldav(local: str, status: int, section: str) -> Condition:
    return Condition(caldav(local), status, section)


def _own(local: str) -> Condition:
    return Condition(own(local), 403, "docs/find-time.md")


# RFC 4918
LOCK_TOKEN_MATCHES_REQUEST_URI: Final = _dav("lock-token-matches-request-uri", 409, "RFC 4918 16")
LOCK_TOKEN_SUBMITTED: Final = _dav("lock-token-submitted", 423, "RFC 4918 16")
NO_CONFLICTING_LOCK: Final = _dav("no-conflicting-lock", 423, "RFC 4918 16")
NO_EXTERNAL_ENTITIES: Final = _dav("no-external-entities", 403, "RFC 4918 16")
PROPFIND_FINITE_DEPTH: Final = _dav("propfind-finite-depth", 403, "RFC 4918 16")
CANNOT_MODIFY_PROTECTED_PROPERTY: Final = _dav("cannot-modify-protected-property", 403, "RFC 4918 16")
# RFC 3253, 3744
RESOURCE_MUST_BE_NULL: Final = _dav("resource-must-be-null", 405, "RFC 4791 5.3.1.1")
SUPPORTED_REPORT: Final = _dav("supported-report", 403, "RFC 3253 3.6")
NEED_PRIVILEGES: Final = _dav("need-privileges", 403, "RFC 3744 7.1.1")
NO_ACE_CONFLICT: Final = _dav("no-ace-conflict", 403, "RFC 3744 8.1.1")
NO_PROTECTED_ACE_CONFLICT: Final = _dav("no-protected-ace-conflict", 403, "RFC 3744 8.1.1")
NO_INHERITED_ACE_CONFLICT: Final = _dav("no-inherited-ace-conflict", 403, "RFC 3744 8.1.1")
LIMITED_NUMBER_OF_ACES: Final = _dav("limited-number-of-aces", 403, "RFC 3744 8.1.1")
DENY_BEFORE_GRANT: Final = _dav("deny-before-grant", 403, "RFC 3744 8.1.1")
GRANT_ONLY: Final = _dav("grant-only", 403, "RFC 3744 8.1.1")
NO_INVERT: Final = _dav("no-invert", 403, "RFC 3744 8.1.1")
NO_ABSTRACT: Final = _dav("no-abstract", 403, "RFC 3744 8.1.1")
NOT_SUPPORTED_PRIVILEGE: Final = _dav("not-supported-privilege", 403, "RFC 3744 8.1.1")
MISSING_REQUIRED_PRINCIPAL: Final = _dav("missing-required-principal", 403, "RFC 3744 8.1.1")
RECOGNIZED_PRINCIPAL: Final = _dav("recognized-principal", 403, "RFC 3744 8.1.1")
ALLOWED_PRINCIPAL: Final = _dav("allowed-principal", 403, "RFC 3744 8.1.1")
NUMBER_OF_MATCHES_WITHIN_LIMITS: Final = _dav("number-of-matches-within-limits", 507, "RFC 3744 9.2, RFC 6578 3.6")
# RFC 5689, 6578, 4331
VALID_RESOURCETYPE: Final = _dav("valid-resourcetype", 403, "RFC 5689 3.3")
VALID_SYNC_TOKEN: Final = _dav("valid-sync-token", 403, "RFC 6578 3.2")
SYNC_TRAVERSAL_SUPPORTED: Final = _dav("sync-traversal-supported", 403, "RFC 6578 3.2")
QUOTA_NOT_EXCEEDED: Final = _dav("quota-not-exceeded", 507, "RFC 4331 6")
# RFC 4791
CALENDAR_COLLECTION_LOCATION_OK: Final = _caldav("calendar-collection-location-ok", 403, "RFC 4791 5.3.1.1")
VALID_CALENDAR_TIMEZONE: Final = _caldav("valid-calendar-data", 403, "RFC 4791 5.3.1.1")
SUPPORTED_CALENDAR_DATA: Final = _caldav("supported-calendar-data", 403, "RFC 4791 5.3.2.1")
VALID_CALENDAR_DATA: Final = _caldav("valid-calendar-data", 403, "RFC 4791 5.3.2.1")
VALID_CALENDAR_OBJECT_RESOURCE: Final = _caldav("valid-calendar-object-resource", 403, "RFC 4791 5.3.2.1")
SUPPORTED_CALENDAR_COMPONENT: Final = _caldav("supported-calendar-component", 403, "RFC 4791 5.3.2.1")
NO_UID_CONFLICT: Final = _caldav("no-uid-conflict", 403, "RFC 4791 5.3.2.1")
MAX_RESOURCE_SIZE: Final = _caldav("max-resource-size", 403, "RFC 4791 5.3.2.1")
MIN_DATE_TIME: Final = _caldav("min-date-time", 403, "RFC 4791 5.3.2.1")
MAX_DATE_TIME: Final = _caldav("max-date-time", 403, "RFC 4791 5.3.2.1")
MAX_INSTANCES: Final = _caldav("max-instances", 403, "RFC 4791 5.3.2.1")
MAX_ATTENDEES_PER_INSTANCE: Final = _caldav("max-attendees-per-instance", 403, "RFC 4791 5.3.2.1")
VALID_FILTER: Final = _caldav("valid-filter", 403, "RFC 4791 7.8")
SUPPORTED_FILTER: Final = _caldav("supported-filter", 403, "RFC 4791 7.8")
SUPPORTED_COLLATION: Final = _caldav("supported-collation", 403, "RFC 4791 7.5.1")
# RFC 7529
SUPPORTED_RSCALE: Final = _caldav("supported-rscale", 403, "RFC 7529 10")
# RFC 6638
UNIQUE_SCHEDULING_OBJECT_RESOURCE: Final = _caldav("unique-scheduling-object-resource", 403, "RFC 6638 3.2.4.1")
SAME_ORGANIZER: Final = _caldav("same-organizer-in-all-components", 403, "RFC 6638 3.2.4.2")
ORGANIZER_CHANGE: Final = _caldav("allowed-organizer-scheduling-object-change", 403, "RFC 6638 3.2.4.3")
ATTENDEE_CHANGE: Final = _caldav("allowed-attendee-scheduling-object-change", 403, "RFC 6638 3.2.4.4")
DEFAULT_CALENDAR_NEEDED: Final = _caldav("default-calendar-needed", 403, "RFC 6638 4.3.1.1")
VALID_SCHEDULING_MESSAGE: Final = _caldav("valid-scheduling-message", 400, "RFC 6638 5.2.1")
VALID_ORGANIZER: Final = _caldav("valid-organizer", 403, "RFC 6638 5.2.2")
VALID_SCHEDULE_DEFAULT_CALENDAR_URL: Final = _caldav("valid-schedule-default-calendar-URL", 403, "RFC 6638 4.3.1.2")
# RFC 7809
VALID_TIMEZONE: Final = _caldav("valid-timezone", 403, "RFC 7809 5.2")
# Of this server alone
VALID_FIND_TIME: Final = _own("valid-find-time")
VALID_DURATION: Final = _own("valid-duration")
VALID_WINDOW: Final = _own("valid-window")
VALID_ATTENDEES: Final = _own("valid-attendees")
VALID_ROOMS: Final = _own("valid-rooms")
VALID_NUMBER: Final = _own("valid-number")

#: Every condition by its local name; the floor below names preconditions as plain text.
CONDITIONS: Final[Mapping[str, Condition]] = {
    value.local: value for value in list(globals().values()) if isinstance(value, Condition)
}


class DavError(Exception):
    """A request that ends with a status, and perhaps a precondition, instead of a result."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        condition: Condition | None = None,
        inner: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.condition = condition
        self.inner = inner
        self.headers = dict(headers or {})

    def error_element(self) -> str:
        """The content of ``D:error`` as a fragment; empty where there is no precondition."""
        return element(self.condition.name, self.inner) if self.condition else ""

    def body(self) -> bytes:
        """The document: ``D:error`` with the precondition and the sentence for people."""
        description = f"<D:responsedescription>{text(self.message)}</D:responsedescription>" if self.message else ""
        return document(dav("error"), self.error_element() + description)


def failed(condition: Condition, inner: str = "", *, message: str = "", status: int | None = None) -> DavError:
    """The error that a violated condition is; ``inner`` is the fragment inside its element."""
    return DavError(status or condition.status, message, condition=condition, inner=inner)


def not_found(message: str = "There is nothing here.") -> DavError:
    """404: also for what the asker may not know of."""
    return DavError(404, message)


def bad_request(message: str) -> DavError:
    """400 with a sentence."""
    return DavError(400, message)


def of_store(error: store.StoreError) -> DavError:
    """What a store's error means over HTTP."""
    match error:
        case store.NotFound():
            return not_found()
        case store.NameTaken() | store.AddressTaken():
            return DavError(409, str(error))
        case store.UidTaken():
            return failed(NO_UID_CONFLICT, message=str(error))
        case store.TokenTooOld():
            return failed(VALID_SYNC_TOKEN, message="This sync-token is too old: start again without one.")
        case store.QuotaExceeded():
            return failed(QUOTA_NOT_EXCEEDED, message="The quota of this home is used up.")
        case store.UnstorableText():
            return DavError(403, str(error))
        case store.Busy():
            return DavError(503, str(error), headers={"Retry-After": "2"})
        case _:
            return DavError(503, "The database is busy: try again.", headers={"Retry-After": "2"})
