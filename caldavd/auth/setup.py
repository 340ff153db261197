"""From the settings to an :class:`Authenticator`, and the accounts of newcomers."""

from __future__ import annotations

import logging

from caldavd.auth.authenticator import Authenticator, Policy, Provision
from caldavd.auth.limits import Limits
from caldavd.auth.passwords import Cost
from caldavd.provision import NAME_RULE, NewPrincipal, create, valid_name
from caldavd.proxy import Proxies
from config.settings import Provisioning, Settings
from storage.errors import AddressTaken
from storage.rows import Principal
from storage.store import Store

log = logging.getLogger("caldavd.auth")


def from_settings(settings: Settings, *, store: Store, provision: Provision | None = None) -> Authenticator:
    """The authenticator that the settings ask for.

    ``provision`` makes the account of a newcomer where ``[auth] create`` is set (default: :func:`newcomers`).

    Raises:
        SetupError: the authentication outside cannot be set up.
    """
    auth = settings.auth
    policy = Policy(
        realm=auth.realm,
        cost=cost_of(settings),
        limits=Limits(auth.failures_per_user, auth.failures_per_address, auth.failure_seconds),
        cache_seconds=auth.cache_seconds,
    )
    if auth.type == "database":
        return Authenticator(store, policy)
    # Radicale takes a quarter of a second to import: only where it is asked for.
    from caldavd.auth.external import External  # noqa: PLC0415

    external = External(auth.type, auth.options, trusted=Proxies(settings.server.trusted_proxies).is_trusted)
    create_account = (
        (provision or newcomers(store, settings.provisioning, schedules=settings.scheduling.enabled))
        if auth.create
        else None
    )
    return Authenticator(store, policy, external=external, provision=create_account)


def cost_of(settings: Settings) -> Cost:
    """What a hash costs by the settings, for whoever sets passwords."""
    auth = settings.auth
    return Cost(memory=int(auth.argon2_memory) // 1024, time=auth.argon2_time, parallelism=auth.argon2_parallelism)


def newcomers(store: Store, settings: Provisioning, *, schedules: bool = False) -> Provision:
    """Makes accounts as ``caldavd user add`` does, for whoever was accepted outside. Raises ``NameTaken`` in a race."""

    def provision(name: str) -> Principal | None:
        if not valid_name(name):
            log.warning("%r was accepted outside and cannot be a name here: it has to be %s.", name, NAME_RULE)
            return None
        try:
            made = store.run(lambda tx: create(tx, NewPrincipal(name=name, schedules=schedules), settings), write=True)
        except AddressTaken as error:
            log.warning("No account was made for %r: %s", name, error)
            return None
        log.info("%r was accepted outside for the first time: the account was made.", name)
        return made

    return provision
