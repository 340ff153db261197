"""From the settings to the scheduler: one for the server, the worker and the command line alike."""

from __future__ import annotations

from urllib.parse import urlsplit

from config.settings import Settings
from scheduling.delivery.people import Site
from scheduling.delivery.scheduler import Scheduler
from scheduling.mail.posting import Postbox
from scheduling.rooms.bookings import Defaults


def scheduler_of(settings: Settings, postbox: Postbox | None) -> Scheduler:
    """The scheduler; ``postbox`` takes what is for people elsewhere (``None``: they are not reached)."""
    return Scheduler(
        postbox,
        site=site_of(settings),
        rooms=Defaults.of(settings.rooms),
        most_attendees=settings.limits.max_attendees_per_instance,
        most_shown=settings.scheduling.most_shown,
    )


def site_of(settings: Settings) -> Site:
    """Which URLs are this server's."""
    authority = urlsplit(settings.server.base_url).netloc.lower()
    return Site(settings.server.prefix, frozenset({authority} - {""}))
