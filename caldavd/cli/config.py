"""``caldavd config``: look at the settings, and print the commented sample."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from caldavd.cli.session import Session, pass_session
from caldavd.finding import finder_of
from config.sample import render, toml_value
from config.settings import Settings, without_password
from scheduling.freebusy.index_open import free_busy_of


@click.group()
def config() -> None:
    """Check the settings, or print a commented sample of them."""


@config.command()
@pass_session
def check(session: Session) -> None:
    """Read the settings and show what is set.

    They are read as the server reads them; those that differ from their defaults are shown. Every mistake is one
    line that names the file or variable, the setting, its value and what is allowed; then the exit status is 2.
    """
    settings = session.settings
    click.echo(f"Settings from {session.file}." if session.file else "There is no config file: the defaults count.")
    usual = Settings()
    for section in Settings.model_fields:
        for key in type(getattr(usual, section)).model_fields:
            value = getattr(getattr(settings, section), key)
            if value != getattr(getattr(usual, section), key):
                click.echo(f"[{section}] {key} = {_shown(settings, section, key, value)}")
    for note in _notes(settings):
        click.echo(note)


def _notes(settings: Settings) -> Iterator[str]:
    """What can be read and will not do as it is. The file is not wrong: the server may run elsewhere."""
    server, mail, incoming = settings.server, settings.mail, settings.incoming
    files = {
        "[server] tls_certificate": server.tls_certificate,
        "[server] tls_key": server.tls_key,
        "[mail] ca_file": mail.ca_file,
        "[incoming] imap_ca_file": incoming.imap_ca_file,
    }
    for setting, file in files.items():
        if file is not None and not os.access(file, os.R_OK):
            yield f"{setting}: {file} is not there, or whoever runs this may not read it."
    if mail.username and not mail.password:
        yield "[mail] password is not set here; the server needs it, for example in CALDAVD_MAIL__PASSWORD."
    if incoming.imap_host and not incoming.imap_password:
        yield (
            "[incoming] imap_password is not set here; the server needs it, for example in "
            "CALDAVD_INCOMING__IMAP_PASSWORD."
        )
    try:
        finder_of(settings.find_time, settings.rooms)
        free_busy_of(settings.freebusy)
    except ValueError as error:
        yield str(error)
    if mail.smtp_host and not server.base_url:
        yield (
            "Mails have no links to accept, decline or propose another time: set [server] base_url to the URL by which "
            'people elsewhere reach this server, such as "https://calendar.example.org".'
        )


def _shown(settings: Settings, section: str, key: str, value: object) -> str:
    """A value as TOML; what may hold a password is not shown."""
    if (section, key) == ("storage", "url"):
        return toml_value(settings.secret_url)
    if (section, key) == ("freebusy", "redis"):
        return toml_value(without_password(settings.freebusy.redis))
    if key.endswith("password"):
        return toml_value("…")
    if isinstance(value, dict):
        return toml_value(dict.fromkeys(value, "…"))
    return toml_value(value)


@config.command()
def sample() -> None:
    """Print a config file with every setting, explained, at its default."""
    click.echo(render(), nl=False)
