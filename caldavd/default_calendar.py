"""The default calendar, which new invitations are put into (RFC 6638 sections 4.3 and 9.2).

There always is one while there is a calendar that takes events: the one that was chosen, else the one that deliveries
choose (``scheduling.delivery.placing``). It follows where its calendar is moved to within the home, and cannot be
deleted.
"""

from __future__ import annotations

from typing import Final

from caldavd import kinds
from caldavd.context import Context
from caldavd.errors import DEFAULT_CALENDAR_NEEDED, failed
from caldavd.resources import Resource
from caldavd.xml.fragment import attribute, href
from caldavd.xml.names import CALDAV_NS
from scheduling.delivery.placing import DEFAULT_CALENDAR_URL, places_of
from storage.rows import Collection, CollectionKind, Owner, StoredProperty

_LOCAL: Final = DEFAULT_CALENDAR_URL[1]


def takes_events(collection: Collection) -> bool:
    """Whether it is a calendar that invitations can be put into."""
    return collection.kind is CollectionKind.CALENDAR and (
        not collection.components or "VEVENT" in collection.components
    )


def default_calendar(context: Context, home_id: int) -> Collection | None:
    """The calendar that ``schedule-default-calendar-URL`` names (section 9.2); ``None`` in a home without inbox."""
    places = places_of(context.tx, [home_id]).get(home_id) if context.scheduler is not None else None
    return places.calendar_for("VEVENT") if places is not None and places.inbox is not None else None


def check_not_default(context: Context, resource: Resource) -> None:
    """Raises ``default-calendar-needed`` where what is to go is the default calendar (sections 4.3 and 4.3.1.1)."""
    if resource.kind is not kinds.CALENDAR:
        return
    default = default_calendar(context, resource.collection.home_id)
    if default is not None and default.id == resource.collection.id:
        message = (
            "Invitations are put into this calendar. Before it can be deleted, another one has to be made the default "
            "calendar (schedule-default-calendar-URL of the inbox)."
        )
        raise failed(DEFAULT_CALENDAR_NEEDED, message=message)


def follow_default(context: Context, resource: Resource, moved: Collection) -> None:
    """Lets ``schedule-default-calendar-URL`` follow the default calendar ``resource`` to where it is moved to.

    To be called before the move; ``moved`` is the calendar as it will be, in the same home.
    """
    default = default_calendar(context, moved.home_id)
    if default is not None and default.id == resource.collection.id:
        set_default(context, resource.owner, moved)


def set_default(context: Context, owner: str, calendar: Collection) -> None:
    """Makes ``calendar`` the default one of its home, whose principal's name is ``owner``."""
    inbox = places_of(context.tx, [calendar.home_id])[calendar.home_id].inbox
    assert inbox is not None
    where = href(context.router.below_home(owner, calendar.path, collection=True))
    xml = f'<C:{_LOCAL} xmlns:C={attribute(CALDAV_NS)} xmlns:D="DAV:">{where}</C:{_LOCAL}>'
    context.tx.properties.set(StoredProperty(Owner("collection", inbox.id), 0, *DEFAULT_CALENDAR_URL, xml.encode()))
    context.tx.collections.touch(inbox)
