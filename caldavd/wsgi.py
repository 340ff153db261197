"""Where the parts are chosen and put together: the only place that knows which store and which authentication run.

``caldavd.wsgi:application`` is the callable for any WSGI server (granian, gunicorn, uWSGI). It is built when it is
first looked up, in the process that will serve, from the settings that ``config.load`` finds.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from caldavd import heap, incoming
from caldavd.app import Application
from caldavd.auth import from_settings as authenticator_from
from caldavd.boxes import ensure_boxes
from caldavd.finding import finder_of
from caldavd.mail import postbox_of, started, worker_of
from caldavd.proxy import Proxies
from caldavd.router import Router
from caldavd.schedulers import scheduler_of
from caldavd.spool import Outlets
from caldavd.stores import store_of
from config import load, log
from config.settings import Settings
from scheduling.freebusy.index_open import free_busy_of
from scheduling.mail.posting import Postbox
from storage.store import Store

#: The name of the application with a worker beside it, which `caldavd serve` runs.
WITH_WORKER: Final = "application_with_worker"


def build(settings: Settings, *, store: Store | None = None, postbox: Postbox | None = None) -> Application:
    """The application for these settings, on ``store`` or on the one that the settings name.

    ``postbox`` takes the mail of scheduling; without it there is one where the settings say that there is mail.

    Raises ``storage.errors.SchemaMismatch`` where the database is not of this version.
    """
    opened = store if store is not None else store_of(settings, connections=settings.server.threads)
    opened.check_schema()
    if settings.scheduling.enabled:
        ensure_boxes(opened)
    freebusy = free_busy_of(settings.freebusy)
    opened.watch(freebusy.written)
    proxies = Proxies(settings.server.trusted_proxies, settings.server.prefix, settings.server.base_url)
    return Application(
        store=opened,
        authenticator=authenticator_from(settings, store=opened),
        router=Router(settings.server.prefix),
        limits=settings.limits,
        proxies=proxies,
        access_log=settings.logging.access,
        scheduler=scheduler_of(settings, postbox or postbox_of(settings)) if settings.scheduling.enabled else None,
        freebusy=freebusy,
        finder=finder_of(settings.find_time, settings.rooms),
        outlets=Outlets(settings.server.threads // 2),
    )


def __getattr__(name: str) -> Any:
    if name not in ("application", WITH_WORKER):
        raise AttributeError(name)
    heap.share()
    settings = load.load(load.find(None, os.environ), os.environ)
    log.configure(level=settings.logging.level, style=settings.logging.format)
    if name == WITH_WORKER:
        application = _with_worker(settings)
    else:
        application = build(settings)
        # A server may fork from here on (gunicorn --preload), and no two processes may have the same connection.
        application.store.close()
    globals()[name] = application
    return application


def _with_worker(settings: Settings) -> Application:
    """The application, and beside it in the same process what sends mail and what takes it in, where there is any."""
    sends = bool(settings.mail.smtp_host and settings.mail.worker)
    if not sends and not incoming.is_wanted(settings):
        return build(settings)
    store = store_of(settings, connections=settings.server.threads + 1 + incoming.connections(settings))
    worker = worker_of(settings, store) if sends else None
    postbox = postbox_of(settings, worker)
    application = build(settings, store=store, postbox=postbox)
    if worker is not None:
        started(worker)
    incoming.started(settings, store, postbox, worker.wake if worker is not None else lambda: None)
    return application


if "uwsgi" in sys.modules:
    # uWSGI looks into the module's dictionary and does not ask __getattr__; it imports this only to serve.
    application = __getattr__("application")
