"""The Basic scheme: RFC 7617's own examples first."""

from __future__ import annotations

from base64 import b64encode

import pytest

from caldavd.auth.basic import Basic, parse


def _header(user_pass: str | bytes, scheme: str = "Basic") -> str:
    octets = user_pass if isinstance(user_pass, bytes) else user_pass.encode()
    return f"{scheme} {b64encode(octets).decode()}"


def test_the_examples_of_the_rfc() -> None:
    assert parse("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==") == Basic("Aladdin", "open sesame")  # section 2
    assert parse("Basic dGVzdDoxMjPCow==") == Basic("test", "123\u00a3")  # section 2.1


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc"])
def test_the_scheme_is_caseless(scheme: str) -> None:
    assert parse(_header("u1:x", scheme)) == Basic("u1", "x")


def test_spaces_around_the_token_do_not_matter() -> None:
    assert parse("  " + _header("u1:x").replace(" ", "   ") + " \t") == Basic("u1", "x")


def test_a_password_may_hold_colons() -> None:
    assert parse(_header("u1:a:b::")) == Basic("u1", "a:b::")


def test_what_is_not_utf8_is_latin1() -> None:
    assert parse(_header("jürgen:paß".encode("latin-1"))) == Basic("jürgen", "paß")


def test_the_login_is_composed() -> None:
    assert parse(_header("ju\u0308rgen:x")) == Basic("jürgen", "x")


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",  # padding is missing
        "Basic QWxhZGRp bjpvcGVuIHNlc2FtZQ==",
        "Basic \u00e9\u00e9\u00e9\u00e9",
        "Basic Ä",
        "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        'Digest username="u1"',
        "BasicQWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        _header("nocolon"),
        _header(":nobody"),
        _header("u1:"),
        _header(":"),
        _header("u1:nul\x00"),
        _header("u\n1:x"),
        _header("u1:del\x7f"),
        _header(b"\xff\x80:x"),  # C1 in latin-1
    ],
)
def test_what_cannot_be_read_is_none(value: str | None) -> None:
    assert parse(value) is None


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Basic("u1", "secret"))
