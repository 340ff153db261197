"""Live properties: :mod:`caldavd.properties.registry` is the table, the other modules are its rows."""

from caldavd.properties import acl, apple, calendars, locks, principals, scheduling, sync, webdav  # noqa: F401  (they register their rows)
