"""``caldavd user freebusy-url``: a link by which others see when somebody is busy, without an account."""

from __future__ import annotations

import click

from caldavd.cli.session import Session, pass_session, principal_named
from config.settings import Settings
from scheduling.freebusy.links import PURPOSE, token_of
from storage.store import Transaction


@click.command("freebusy-url")
@click.argument("name")
@click.option("--on", "wish", flag_value="on", help="Open the link; the same one if it is open already.")
@click.option("--off", "wish", flag_value="off", help="Close it: it leads nowhere any more.")
@click.option("--new", "wish", flag_value="new", help="Open a new one; the old one leads nowhere any more.")
@pass_session
def freebusy_url(session: Session, name: str, wish: str | None) -> None:
    """Print the link to when NAME is busy, or open and close it.

    Whoever has the link sees when NAME is busy or away, for at most 400 days at once, and no titles, places or people.
    Without an option it is printed if it is open, and the exit status is 1 if it is not.
    """

    def work(tx: Transaction) -> tuple[int, int | None]:
        principal = principal_named(tx, name)
        if wish == "off":
            tx.freebusy_links.remove(principal.id)
            return principal.id, None
        serial = tx.freebusy_links.serial(principal.id)
        if wish == "new" or (wish == "on" and serial is None):
            serial = tx.freebusy_links.renew(principal.id)
        return principal.id, serial

    principal_id, serial = session.read(work) if wish is None else session.write(work)
    if serial is not None:
        click.echo(_base(session.settings) + token_of(session.store.secret(PURPOSE), principal_id, serial))
    elif wish == "off":
        click.echo(f"Nobody sees when {name} is busy without an account.")
    else:
        click.echo(f"{name} has no such link. `caldavd user freebusy-url {name} --on` opens one.", err=True)
        raise SystemExit(1)


def _base(settings: Settings) -> str:
    server = settings.server
    host = f"[{server.host}]" if ":" in server.host else server.host
    scheme = "https" if server.tls_certificate else "http"
    return f"{server.base_url or f'{scheme}://{host}:{server.port}'}{server.prefix}/freebusy/"
