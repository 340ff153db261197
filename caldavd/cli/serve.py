"""``caldavd serve``: run the server, with granian, as the settings say.

The application is ``caldavd.wsgi:application``; any other WSGI server can run it as well (docs/install.md).
"""

from __future__ import annotations

import getpass
import logging
import os
import socket
import ssl
from typing import Any
from urllib.parse import quote

import click
from granian import Granian
from granian.constants import Interfaces, SSLProtocols
from granian.log import LogLevels

from caldavd import provision
from caldavd.auth import SetupError
from caldavd.auth.passwords import generate_password, hash_password
from caldavd.cli.session import Failure, Session, pass_session
from caldavd.wsgi import WITH_WORKER, build
from config import log
from config.settings import Settings
from storage.errors import StoreError
from storage.store import Transaction

#: Waiting requests per worker thread before new connections are left in the backlog.
_QUEUED_PER_THREAD = 32
#: How long a worker may finish what it is doing when the server is stopped.
_GRACE_SECONDS = 15


@click.command()
@click.option("--host", help="Listen on this address instead of [server] host.")
@click.option("--port", type=click.IntRange(1, 65535), help="Listen on this port instead of [server] port.")
@click.option("--workers", type=click.IntRange(1, 256), help="So many processes instead of [server] workers.")
@click.option(
    "--first-run",
    is_flag=True,
    help="Make the database, or bring it to this version, and a first user with a random password if there is nobody.",
)
@pass_session
def serve(session: Session, host: str | None, port: int | None, workers: int | None, first_run: bool) -> None:
    """Serve calendars until Ctrl-C or SIGTERM."""
    for key, value in (("HOST", host), ("PORT", port), ("WORKERS", workers)):
        if value is not None:
            os.environ[f"CALDAVD_SERVER__{key}"] = str(value)
    if session.file:
        os.environ["CALDAVD_CONFIG"] = str(session.file)
    settings = session.settings
    log.configure(level=settings.logging.level, style=settings.logging.format)
    address = _free_address(settings)
    _check_tls(settings)
    if first_run:
        _first_run(session)
    _try_out(session)
    nobody = not session.read(lambda tx: tx.principals.all(limit=1))
    session.close()
    if nobody:
        click.echo("Nobody can log in yet: `caldavd user add NAME` makes an account.", err=True)
    _announce(settings)
    _run(settings, address)


def _try_out(session: Session) -> None:
    """Puts the application together once here, so that what is missing is told in a sentence and not by each worker."""
    try:
        build(session.settings, store=session.store)
    except (SetupError, StoreError, ValueError) as error:
        raise Failure(str(error)) from error


def _first_run(session: Session) -> None:
    """The database and somebody to log in, if they are not there yet."""
    session.raw_store.upgrade()
    if session.read(lambda tx: tx.principals.all(limit=1)):
        return
    login = getpass.getuser()
    name = login if provision.valid_name(login) and login != "root" else "me"
    password = generate_password()
    hashed = hash_password(password, cost=session.cost)

    def add(tx: Transaction) -> None:
        made = provision.create(
            tx,
            provision.NewPrincipal(name=name, schedules=session.settings.scheduling.enabled),
            session.settings.provisioning,
        )
        tx.principals.set_password(made.id, hashed)

    session.write(add)
    click.echo(
        "There was nobody yet, so here is a first user. The password is shown only now;\n"
        f"`caldavd user passwd {name}` sets another one.\n"
        f"    user name  {name}\n"
        f"    password   {password}"
    )
    if session.settings.scheduling.enabled and not session.settings.provisioning.mail_domain:
        click.echo(
            "People are invited by their mail addresses, so give one to everybody:\n"
            f"    caldavd user set {name} --email you@example.org"
        )


def base_url(settings: Settings) -> str:
    """What people type: the URL of the server's root, with a slash at its end."""
    server = settings.server
    if server.base_url:
        return f"{server.base_url}{server.prefix}/"
    host = {"0.0.0.0": socket.getfqdn(), "::": socket.getfqdn()}.get(server.host, server.host)  # noqa: S104
    bracketed = f"[{host}]" if ":" in host else host
    scheme = "https" if server.tls_key else "http"
    usual = {"http": 80, "https": 443}[scheme]
    port = "" if server.port == usual else f":{server.port}"
    return f"{scheme}://{bracketed}{port}{quote(server.prefix)}/"


def _announce(settings: Settings) -> None:
    click.echo(f"Type this URL into a calendar client: {base_url(settings)}")


def _free_address(settings: Settings) -> str:
    """The numeric address to listen on; a sentence instead of a traceback where it cannot be had."""
    server = settings.server
    try:
        family, kind, _, _, address = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise Failure(
            f"The server cannot listen on {server.host} port {server.port}: {error.strerror or error}. "
            "Another program may be using the port: choose one with --port."
        ) from error
    return str(address[0])


def _check_tls(settings: Settings) -> None:
    """A sentence where certificate and key cannot be used."""
    certificate, key = settings.server.tls_certificate, settings.server.tls_key
    if certificate is None or key is None:
        return
    for file in (certificate, key):
        if not os.access(file, os.R_OK):
            raise Failure(f"The file {file} for TLS cannot be read.")
    try:
        # The empty password stops OpenSSL from asking for one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise Failure(
            f"TLS cannot use the certificate {certificate} with the key {key}: {error}. Both have to be PEM files that "
            "belong together, the key without a password."
        ) from error


def _run(settings: Settings, address: str) -> None:
    server = settings.server
    Granian(
        f"caldavd.wsgi:{WITH_WORKER}",
        address=address,
        port=server.port,
        interface=Interfaces.WSGI,
        workers=server.workers,
        blocking_threads=server.threads,
        backpressure=server.threads * _QUEUED_PER_THREAD,
        ssl_cert=server.tls_certificate,
        ssl_key=server.tls_key,
        ssl_protocol_min=SSLProtocols.tls12,
        websockets=False,
        workers_kill_timeout=_GRACE_SECONDS,
        log_level=LogLevels(log.level_of_libraries(settings.logging.level)),
        log_dictconfig=_granian_log(settings),
        respawn_failed_workers=True,
    ).serve()


class _ThreadsAreChosen(logging.Filter):
    """Drops granian's advice on the number of threads: ours wait for the database, and the setting says how many."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Everything else passes."""
        return "Python threads, which seems quite high" not in record.getMessage()


def _granian_log(settings: Settings) -> dict[str, Any]:
    """Granian's own lines (it starts, a worker died) in our form; the lines for requests are the application's."""
    handler = {
        "class": "logging.StreamHandler",
        "formatter": "ours",
        "filters": ["chosen"],
        "stream": "ext://sys.stderr",
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"ours": {"()": log.FORMATTERS[settings.logging.format]}},
        "filters": {"chosen": {"()": _ThreadsAreChosen}},
        "handlers": {"ours": handler},
        "loggers": {"_granian": {"handlers": ["ours"], "propagate": False}},
    }
