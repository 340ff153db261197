"""``caldavd config``: look at the settings, and print the commented sample."""

from __future__ import annotations

import click

from caldavd.cli.session import Session, pass_session
from config.sample import render, toml_value
from config.settings import Settings, without_password


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
    if settings.mail.smtp_host and not settings.server.base_url:
        click.echo(
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
