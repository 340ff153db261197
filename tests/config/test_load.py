"""What the file and the environment say, and what is said about mistakes in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.load import SettingsError, find, load
from config.settings import Settings


def written(folder: Path, text: str) -> Path:
    file = folder / "caldavd.toml"
    file.write_text(text, "utf-8")
    return file


def test_nothing_said_means_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(None, {})
    assert settings.storage.url == f"sqlite:///{tmp_path}/caldavd.db"
    assert settings == Settings(storage=settings.storage)


def test_the_file_counts_and_the_environment_wins(tmp_path: Path) -> None:
    file = written(tmp_path, '[server]\nport = 8008\nhost = "::1"\n[limits]\nmax_resource_size = "1 MiB"\n')
    settings = load(file, {"CALDAVD_SERVER__PORT": "8009", "HOME": "/root"})
    assert (settings.server.port, settings.server.host) == (8009, "::1")
    assert settings.limits.max_resource_size == 1024 * 1024


@pytest.mark.parametrize(
    ("variable", "text", "section", "key", "value"),
    [
        (
            "CALDAVD_SERVER__TRUSTED_PROXIES",
            "127.0.0.1,10.0.0.0/8",
            "server",
            "trusted_proxies",
            ["127.0.0.1/32", "10.0.0.0/8"],
        ),
        ("CALDAVD_SERVER__TRUSTED_PROXIES", '["::1"]', "server", "trusted_proxies", ["::1/128"]),
        ("CALDAVD_SERVER__TRUSTED_PROXIES", "", "server", "trusted_proxies", []),
        ("CALDAVD_AUTH__OPTIONS__LDAP_URI", "ldap://x", "auth", "options", {"ldap_uri": "ldap://x"}),
        ("CALDAVD_AUTH__OPTIONS", '{ ldap_uri = "ldap://x" }', "auth", "options", {"ldap_uri": "ldap://x"}),
        ("CALDAVD_AUTH__CREATE", "false", "auth", "create", False),
        ("CALDAVD_SERVER__TLS_KEY", "", "server", "tls_key", None),
        ("CALDAVD_LIMITS__QUOTA", "2 GiB", "limits", "quota", 2 * 1024**3),
        ("CALDAVD_LOGGING__FORMAT", "json", "logging", "format", "json"),
    ],
)
def test_a_variable_says_what_the_setting_takes(
    variable: str, text: str, section: str, key: str, value: object
) -> None:
    got = getattr(getattr(load(None, {variable: text}), section), key)
    assert ([str(item) for item in got] if isinstance(got, tuple) else got) == value


def test_an_entry_of_a_table_joins_the_files_table(tmp_path: Path) -> None:
    file = written(tmp_path, '[auth.options]\nimap_host = "a"\nimap_security = "tls"\n')
    options = load(file, {"CALDAVD_AUTH__OPTIONS__IMAP_HOST": "b"}).auth.options
    assert options == {"imap_host": "b", "imap_security": "tls"}


def test_other_variables_of_ours_are_no_settings() -> None:
    load(None, {"CALDAVD_CONFIG": "x", "CALDAVD_TEST_REQUIRE": "redis"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[server]\nprot = 8008",
            "[server] prot = 8008: there is no such setting; did you mean port? Allowed: host, port,",
        ),
        ("[sever]\nport = 8008", "there is no section [sever]; did you mean server? Allowed: server, storage, auth,"),
        ("[server]\nqqqqq = 1", "[server] qqqqq = 1: there is no such setting; allowed: host, port,"),
        ('[server]\nport = "http"', '[server] port = "http": must be a whole number from 1 to 65535'),
        ("[server]\nport = 0", "[server] port = 0: must be a whole number from 1 to 65535"),
        (
            '[server]\nprefix = "caldav/"',
            '[server] prefix = "caldav/": must be "" or a path such as "/caldav", without',
        ),
        ('[server]\ntrusted_proxies = ["nobody"]', '"nobody": must be a list of addresses or networks'),
        ('[logging]\nlevel = "loud"', '[logging] level = "loud": must be "debug" or "info" or "warning" or "error"'),
        ('[auth]\ntype = "htpaswd"', '[auth] type = "htpaswd": must be "database", "htpasswd"'),
        ("[auth]\ncreate = 7", "[auth] create = 7: must be true or false"),
        ('[limits]\nmax_resource_size = "10 bananas"', '"10 bananas": must be a number of bytes, or a text such as'),
        ('[limits]\nmin_date_time = "1900-01-01"', 'must be a UTC date-time such as "20260131T120000Z"'),
        (
            '[server]\ntls_key = "key.pem"',
            "[server]: tls_certificate and tls_key belong together: give both or neither",
        ),
        ("server = 1", "server = 1: this is a section: write [server] and its settings below"),
        ("[server\nport=1", "this is no TOML: "),
    ],
)
def test_a_mistake_is_one_line_that_names_file_key_value_and_what_is_allowed(
    tmp_path: Path, text: str, said: str
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load(file, {})
    assert len(caught.value.problems) == 1, caught.value.problems
    (line,) = caught.value.problems
    assert "\n" not in line
    assert line.startswith(f"{file}: ")
    assert said in line


def test_a_mistake_in_a_variable_names_the_variable() -> None:
    with pytest.raises(SettingsError) as caught:
        load(None, {"CALDAVD_SERVER__PORT": "http", "CALDAVD_SERVER__PORTT": "1"})
    (line,) = caught.value.problems
    assert line.startswith('CALDAVD_SERVER__PORTT: [server] portt = "1": there is no such setting')
    with pytest.raises(SettingsError, match=r'^CALDAVD_SERVER__PORT: \[server\] port = "http": must be'):
        load(None, {"CALDAVD_SERVER__PORT": "http"})


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    file = written(tmp_path, "[server]\nport = 0\nworkers = 0\n[auth]\nargon2_time = 0\n")
    with pytest.raises(SettingsError) as caught:
        load(file, {})
    assert len(caught.value.problems) == 3


def test_a_refused_database_url_does_not_show_its_password(tmp_path: Path) -> None:
    file = written(tmp_path, '[storage]\nurl = "postgres://me:secret@db/x"')
    with pytest.raises(SettingsError) as caught:
        load(file, {})
    assert "secret" not in str(caught.value)
    assert "must be" in str(caught.value)


@pytest.mark.parametrize("line", ["password = 1234", 'pasword = "1234"', 'address = "http://me:1234@x"'])
def test_no_mistake_shows_a_password(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, f"[mail]\n{line}"), {})
    assert "1234" not in str(caught.value)


def test_a_refused_base_url_is_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r'base_url = "calendar.example.org": must be'):
        load(written(tmp_path, '[server]\nbase_url = "calendar.example.org"'), {})


def test_the_shown_url_hides_the_password() -> None:
    settings = load(None, {"CALDAVD_STORAGE__URL": "postgresql+psycopg://me:se:cret@db/x"})
    assert settings.secret_url == "postgresql+psycopg://me:***@db/x"


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / name, {})


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(b"[server]\nhost = '\xff'\n")
    with pytest.raises(SettingsError, match="byte 18 is not UTF-8"):
        load(file, {})


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("sqlite:///x.db", "sqlite:///{folder}/x.db"),
        ("sqlite:///sub/x.db?timeout=3", "sqlite:///{folder}/sub/x.db?timeout=3"),
        ("sqlite:////srv/x.db", "sqlite:////srv/x.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql+psycopg://u@h/x.db", "postgresql+psycopg://u@h/x.db"),
    ],
)
def test_a_relative_database_counts_from_the_files_folder(tmp_path: Path, url: str, resolved: str) -> None:
    file = written(tmp_path, f'[storage]\nurl = "{url}"')
    assert load(file, {}).storage.url == resolved.format(folder=tmp_path)


def test_relative_tls_files_count_from_the_files_folder(tmp_path: Path) -> None:
    settings = load(written(tmp_path, '[server]\ntls_key = "k.pem"\ntls_certificate = "/etc/c.pem"'), {})
    assert (settings.server.tls_key, settings.server.tls_certificate) == (tmp_path / "k.pem", Path("/etc/c.pem"))


def test_which_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find(Path("a"), {"CALDAVD_CONFIG": "b"}) == Path("a")
    assert find(None, {"CALDAVD_CONFIG": "b"}) == Path("b")
    written(tmp_path, "")
    assert find(None, {}) == Path("caldavd.toml")
