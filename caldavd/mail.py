"""From the settings to the worker, and to the postbox that scheduling puts its mail into."""

from __future__ import annotations

from multiprocessing.util import Finalize
from threading import Thread

from caldavd.incoming import tags_of
from config.settings import Settings
from scheduling.mail.mailer import Letterhead, Smtp
from scheduling.mail.posting import Postbox
from scheduling.mail.tickets import PURPOSE, Links, Signer
from scheduling.worker import Worker
from storage.store import Store

_DAY_SECONDS = 86_400
_HOUR_SECONDS = 3600
#: How long a process that ends waits for the mail that is being sent, seconds.
_GRACE = 10
#: ``Finalize`` calls the highest first; the pools of other libraries are closed at 0.
_BEFORE_OTHERS = 10


def worker_of(settings: Settings, store: Store) -> Worker:
    """A worker on ``store``; without ``[mail] smtp_host`` it keeps house and sends nothing."""
    mail = settings.mail
    transport = Smtp(
        host=mail.smtp_host,
        port=mail.smtp_port,
        sender=mail.address,
        security=mail.security,
        username=mail.username,
        password=mail.password,
        timeout=mail.timeout_seconds,
        ca_file=mail.ca_file,
    )
    return Worker(
        store,
        transport if mail.smtp_host else None,
        Letterhead(mail.address, mail.language),
        give_up=mail.retry_hours * _HOUR_SECONDS,
        remember_removals=settings.storage.removed_days * _DAY_SECONDS,
        links=links_of(settings, store),
        tags=tags_of(settings, store),
    )


def links_of(settings: Settings, store: Store) -> Links | None:
    """What makes the links in mails; ``None`` where the server does not know what it is called from outside."""
    if not (settings.server.base_url and settings.scheduling.enabled):
        return None
    base = settings.server.base_url.rstrip("/") + settings.server.prefix
    return Links(base, Signer(store.secret(PURPOSE)), settings.mail.link_days)


def postbox_of(settings: Settings, worker: Worker | None = None) -> Postbox | None:
    """Where mail is put; ``None``: there is no mail. ``worker`` is woken where one runs in this process."""
    if not settings.mail.smtp_host:
        return None
    return Postbox(worker.wake) if worker is not None else Postbox()


def started(worker: Worker) -> Thread:
    """``worker`` in a thread of this process, which is told to stop, and waited for, when the process ends."""
    thread = Thread(target=worker.run, name="worker", daemon=True)

    def stop() -> None:
        worker.stop()
        thread.join(_GRACE)

    # Not atexit, which the processes of multiprocessing (and so those of granian) pass over.
    Finalize(None, stop, exitpriority=_BEFORE_OTHERS)
    thread.start()
    return thread
