"""``caldavd config``, the settings that every command reads, and the help."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from caldavd.__main__ import COMMANDS, main
from tests.caldavd.cli.conftest import Cli


def test_check_shows_what_differs_and_hides_passwords(cli: Cli, folder: Path) -> None:
    text = '[server]\nport = 8008\n[storage]\nurl = "postgresql://me:secret@db/x"\n'
    text += '[auth.options]\nldap_secret = "secret"\n'
    (folder / "caldavd.toml").write_text(text, "utf-8")
    output = cli("config", "check").output
    assert output.splitlines()[:3] == [
        f"Settings from {folder}/caldavd.toml.",
        "[server] port = 8008",
        '[storage] url = "postgresql://me:***@db/x"',
    ]
    assert "secret" not in output.replace("ldap_secret", "")
    (folder / "caldavd.toml").unlink()
    assert "There is no config file" in cli("config", "check").output


def test_check_says_when_mails_have_no_links(cli: Cli, folder: Path) -> None:
    mail = '[mail]\nsmtp_host = "localhost"\nsecurity = "none"\naddress = "calendar@example.org"\n'
    (folder / "caldavd.toml").write_text(mail, "utf-8")
    assert "Mails have no links" in cli("config", "check").output
    (folder / "caldavd.toml").write_text('[server]\nbase_url = "https://calendar.example.org"\n' + mail, "utf-8")
    assert "Mails have no links" not in cli("config", "check").output


def test_check_says_what_cannot_be_used_here(cli: Cli, folder: Path) -> None:
    text = '[mail]\nca_file = "m.pem"\n[incoming]\nimap_ca_file = "i.pem"\n[find_time]\nranker = "no_such:rank"\n'
    (folder / "caldavd.toml").write_text(text, "utf-8")
    (folder / "i.pem").write_text("", "utf-8")
    notes = cli("config", "check").output.splitlines()[-2:]
    assert notes[0] == f"[mail] ca_file: {folder}/m.pem is not there, or whoever runs this may not read it."
    assert notes[1].startswith("The ranker 'no_such:rank' cannot be had")


def test_check_says_which_passwords_are_missing(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        '[server]\nbase_url = "https://c.example"\n[mail]\nsmtp_host = "m"\naddress = "c@example.org"\nusername = "c"\n'
    )
    text += '[incoming]\nimap_host = "m"\nimap_username = "c"\n'
    (folder / "caldavd.toml").write_text(text, "utf-8")
    notes = cli("config", "check").output.splitlines()[-2:]
    assert notes[0].startswith("[mail] password is not set here")
    assert notes[1].startswith("[incoming] imap_password is not set here")
    monkeypatch.setenv("CALDAVD_MAIL__PASSWORD", "x")
    monkeypatch.setenv("CALDAVD_INCOMING__IMAP_PASSWORD", "x")
    assert "is not set here" not in cli("config", "check").output


def test_check_shows_files_lists_and_sizes(cli: Cli, folder: Path) -> None:
    text = '[server]\ntls_certificate = "c.pem"\ntls_key = "k.pem"\ntrusted_proxies = ["10.0.0.0/8"]\n'
    (folder / "caldavd.toml").write_text(text + '[limits]\nmax_body_size = "30 MiB"\n', "utf-8")
    assert cli("config", "check").output.splitlines()[1:5] == [
        '[server] trusted_proxies = ["10.0.0.0/8"]',
        f'[server] tls_certificate = "{folder}/c.pem"',
        f'[server] tls_key = "{folder}/k.pem"',
        f'[storage] url = "sqlite:///{folder}/caldavd.db"',
    ]
    assert '[limits] max_body_size = "30 MiB"' in cli("config", "check").output


@pytest.mark.parametrize("command", [("config", "check"), ("user", "list"), ("serve",), ("doctor",)])
def test_mistakes_are_one_line_each_and_status_2(cli: Cli, folder: Path, command: tuple[str, ...]) -> None:
    file = folder / "other.toml"
    file.write_text('[server]\nport = "x"\nhots = "y"\n[auth]\ntype = 1\n', "utf-8")
    lines = cli("--config", "other.toml", *command, status=2).output.splitlines()
    assert [line.split(": ")[0] for line in lines] == [str(file)]
    assert "did you mean host?" in lines[0]


def test_the_sample_can_be_used_as_it_is(cli: Cli, folder: Path) -> None:
    (folder / "caldavd.toml").write_text(cli("config", "sample").output, "utf-8")
    assert "Settings from" in cli("config", "check").output


def test_a_config_file_that_is_not_there(cli: Cli) -> None:
    assert "cannot be read" in cli("--config", "nowhere.toml", "config", "check", status=2).output


def test_version(cli: Cli) -> None:
    assert cli("--version").output.startswith("caldavd, version ")


def every_command() -> list[tuple[str, ...]]:
    def below(command: click.Command, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        found = [path]
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                found += below(inner, (*path, name))
        return found

    return below(main, ())


def test_the_commands_that_are_asked_for_exist() -> None:
    there = {" ".join(path) for path in every_command()}
    asked = {
        "serve": (),
        "user": ("add", "passwd", "list", "remove", "import", "import-radicale", "app-password"),
        "user app-password": ("add", "list", "revoke"),
        "calendar": ("list", "create", "remove", "import", "export"),
        "config": ("check", "sample"),
        "db": ("upgrade",),
        "reindex": (),
        "doctor": (),
    }
    assert {f"{group} {name}" for group, names in asked.items() for name in names} | set(asked) <= there
    assert {path.split()[0] for path in there - {""}} == set(COMMANDS)


@pytest.mark.parametrize("path", every_command(), ids=" ".join)
def test_every_command_has_help(cli: Cli, path: tuple[str, ...]) -> None:
    output = cli(*path, "--help").output
    assert output.startswith("Usage: ")
    assert len(output.split("\n\n")[1].split()) >= 4, "a sentence says what it does"
    for line in output.splitlines():
        assert len(line) <= 100


@pytest.mark.parametrize("path", every_command(), ids=" ".join)
def test_no_command_takes_a_password_as_an_argument(path: tuple[str, ...]) -> None:
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    names = {option for parameter in command.params for option in (*parameter.opts, parameter.name or "")}
    assert not [
        name
        for name in names
        if "password" in name
        and name not in {"--no-password", "no_password", "--generate-passwords", "generate_passwords"}
    ]


def test_an_unknown_command_is_status_2(cli: Cli) -> None:
    assert "No such command 'frobnicate'" in cli("frobnicate", status=2).output
