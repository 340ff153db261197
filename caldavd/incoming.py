"""From the settings to what takes mails in: the reception, the LMTP listener, the IMAP poll."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.util import Finalize
from threading import Thread

from caldavd.schedulers import scheduler_of
from config.settings import Settings
from scheduling.imip.judging import Policy
from scheduling.imip.lmtp import AT_ONCE, Listener, Place
from scheduling.imip.poll import Mailbox, Poller
from scheduling.imip.reception import Reception
from scheduling.imip.tags import PURPOSE, Tags
from scheduling.mail.posting import Postbox
from storage.store import Store

#: ``Finalize`` calls the highest first; the worker goes after these, since they may leave it something to do.
_BEFORE_THE_WORKER = 20
_GRACE = 10


def tags_of(settings: Settings, store: Store) -> Tags | None:
    """The signed addresses for answers; ``None`` where no address for them is set."""
    incoming = settings.incoming
    if not incoming.reply_address:
        return None
    local, _, domain = incoming.reply_address.rpartition("@")
    return Tags(f"{local}@{domain.lower()}", store.secret(PURPOSE), incoming.tag_separator, bounces=incoming.bounces)


def reception_of(
    settings: Settings, store: Store, postbox: Postbox | None, *, wake: Callable[[], None] = lambda: None
) -> Reception:
    """What takes mails in. ``postbox`` takes what follows for people elsewhere, ``wake`` is called for the rest."""
    incoming = settings.incoming
    policy = Policy(
        incoming.authentication,
        incoming.authserv_id,
        frozenset(incoming.services),
        frozenset(incoming.delegate_domains),
        hold_invitations=incoming.invitations == "hold",
    )
    own = frozenset({settings.mail.address.casefold(), incoming.reply_address.casefold()} - {""})
    return Reception(
        store,
        scheduler_of(settings, postbox),
        policy,
        tags_of(settings, store),
        own,
        max_size=int(incoming.max_mail_size),
        wake=wake,
    )


def is_wanted(settings: Settings) -> bool:
    """Whether a server or worker of these settings takes mails in by itself."""
    return settings.scheduling.enabled and bool(settings.incoming.lmtp or settings.incoming.imap_host)


def connections(settings: Settings) -> int:
    """How many connections to the database that needs."""
    return (AT_ONCE if settings.incoming.lmtp else 0) + (1 if settings.incoming.imap_host else 0)


def listener_of(settings: Settings, reception: Reception) -> Listener | None:
    """The LMTP listener; ``None`` where none is set."""
    incoming = settings.incoming
    if not incoming.lmtp:
        return None
    return Listener(reception, Place.of(incoming.lmtp, mode=int(incoming.lmtp_mode, 8)), int(incoming.max_mail_size))


def poller_of(settings: Settings, store: Store, reception: Reception) -> Poller | None:
    """What looks into a mailbox; ``None`` where none is set."""
    incoming = settings.incoming
    if not incoming.imap_host:
        return None
    mailbox = Mailbox(
        host=incoming.imap_host,
        port=incoming.imap_port,
        username=incoming.imap_username,
        password=incoming.imap_password,
        security=incoming.imap_security,
        folder=incoming.imap_folder,
        done=incoming.imap_done_folder,
        ca_file=incoming.imap_ca_file,
    )
    return Poller(store, reception, mailbox, incoming.imap_poll_seconds, int(incoming.max_mail_size))


def looked(settings: Settings, store: Store, postbox: Postbox | None) -> int:
    """Looks once into the mailbox of the settings, if there is one; how many mails were new.

    Raises ``poll.Unavailable``.
    """
    poller = poller_of(settings, store, reception_of(settings, store, postbox)) if is_wanted(settings) else None
    return 0 if poller is None else poller.look()


def started(settings: Settings, store: Store, postbox: Postbox | None, wake: Callable[[], None]) -> Callable[[], None]:
    """Takes mails in, in threads of this process, until it ends or what is returned is called."""
    if not is_wanted(settings):
        return lambda: None
    reception = reception_of(settings, store, postbox, wake=wake)
    listener, poller = listener_of(settings, reception), poller_of(settings, store, reception)
    threads = []
    if listener is not None:
        listener.start()
    if poller is not None:
        threads.append(Thread(target=poller.run, name="imap", daemon=True))
        threads[0].start()

    def stop() -> None:
        if poller is not None:
            poller.stop()
        if listener is not None:
            listener.stop()
        for thread in threads:
            thread.join(_GRACE)

    # Not atexit, which the processes of multiprocessing (and so those of granian) pass over.
    Finalize(None, stop, exitpriority=_BEFORE_THE_WORKER)
    return stop
