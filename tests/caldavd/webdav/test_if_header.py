"""The If header: the examples of RFC 4918 sections 10.4.6 to 10.4.11, and what is not one."""

from __future__ import annotations

import pytest

from caldavd.if_header import Condition, IfHeader, MalformedIf, State, StateList, parse

ONE = "urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2"
TWO = "urn:uuid:58f202ac-22cf-11d1-b12d-002035b29092"


def holds(header: str, **states: State) -> bool:
    """``states`` by path without the slash; ``here`` is the Request-URI."""
    unmapped = State(None, frozenset())
    return parse(header).holds(
        lambda tag: states.get("here" if tag is None else tag.strip("/").rpartition("/")[2], unmapped)
    )


def locked(*tokens: str, etag: str | None = None) -> State:
    return State(etag, frozenset(tokens))


class TestExamples:
    NO_TAG = f'(<{ONE}>\r\n  ["I am an ETag"])\r\n (["I am another ETag"])'  # 10.4.6

    @pytest.mark.parametrize(
        ("state", "expected"),
        [
            (locked(ONE, etag="I am an ETag"), True),
            (locked(etag="I am another ETag"), True),
            (locked(ONE, etag="I am another ETag"), True),
            (locked(ONE, etag="else"), False),
            (locked(etag="I am an ETag"), False),
        ],
    )
    def test_no_tag_production(self, state: State, expected: bool) -> None:
        assert holds(self.NO_TAG, here=state) is expected

    @pytest.mark.parametrize(
        ("state", "expected"), [(locked(TWO), True), (locked(ONE, TWO), False), (locked(), False), (locked(ONE), False)]
    )
    def test_not(self, state: State, expected: bool) -> None:  # 10.4.7
        assert holds(f"(Not <{ONE}>\r\n <{TWO}>)", here=state) is expected

    @pytest.mark.parametrize("state", [locked(), locked(ONE), locked(TWO)])
    def test_always_true(self, state: State) -> None:  # 10.4.8
        header = f"(<{ONE}>)\n  (Not <DAV:no-lock>)"
        assert holds(header, here=state)
        assert parse(header).submitted == {ONE, "DAV:no-lock"}

    @pytest.mark.parametrize(
        ("state", "expected"),
        [
            (locked(ONE, etag="A weak ETag"), True),
            (locked(etag="strong ETag"), True),
            (locked(etag="A weak ETag"), False),
            (locked(ONE), False),
        ],
    )
    def test_tagged_list(self, state: State, expected: bool) -> None:  # 10.4.9
        header = f'</resource1>\n (<{ONE}>\n [W/"A weak ETag"]) (["strong ETag"])'
        assert holds(header, resource1=state) is expected
        assert holds(header, here=state) is False

    def test_collection_locks(self) -> None:  # 10.4.10
        header = f"<http://www.example.com/specs/>\n (<{ONE}>)"
        assert parse(header) == IfHeader(
            (StateList("http://www.example.com/specs/", (Condition(ONE, is_etag=False, negated=False),)),)
        )
        assert holds(header, specs=locked(ONE))
        assert not holds(header, specs=locked(TWO))

    def test_unmapped(self) -> None:  # 10.4.11
        assert not holds('</specs/rfc2518.doc> (["4217"])')
        assert holds('</specs/rfc2518.doc> (Not ["4217"])')
        assert not holds(f"</specs/rfc2518.doc> (<{ONE}>)")


class TestEvaluation:
    def test_one_true_production_is_enough(self) -> None:
        header = f"</a> (<{ONE}>) </b> (<{TWO}>)"
        assert holds(header, b=locked(TWO))
        assert holds(header, a=locked(ONE))
        assert not holds(header, a=locked(TWO), b=locked(ONE))

    def test_a_tag_counts_up_to_the_next(self) -> None:
        header = parse(f'</a> (<{ONE}>) (["x"]) </b> (["y"])')
        assert [found.tag for found in header.lists] == ["/a", "/a", "/b"]

    def test_each_resource_is_asked_once(self) -> None:
        asked: list[str | None] = []

        def state(tag: str | None) -> State:
            asked.append(tag)
            return locked()

        assert not parse(f'</a> (<{ONE}>) (["x"]) </b> (["y"])').holds(state)
        assert asked == ["/a", "/b"]

    def test_not_is_caseless_and_needs_no_space(self) -> None:
        assert holds('(NOT ["x"]not<DAV:no-lock>)')

    def test_an_empty_tag_is_not_no_tag(self) -> None:
        assert not holds('([""])')
        assert holds('([""])', here=locked(etag=""))

    def test_submitted_even_where_the_list_fails(self) -> None:
        assert parse(f'(<{ONE}> ["x"]) (Not <{TWO}>)').submitted == {ONE, TWO}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "  ",
        "()",
        "( )",
        f"<{ONE}>",
        f"({ONE})",
        f"(<{ONE}>",
        f"<{ONE}>)",
        f"((<{ONE}>))",
        "(<no-scheme>)",
        "(<>)",
        "(< DAV:no-lock>)",
        "(<DAV:no lock>)",
        "(Not)",
        "(Not Not <DAV:no-lock>)",
        "(Notx <DAV:no-lock>)",
        "([x])",
        '(["x)',
        '([ "x" ])',
        '([w/"x"])',
        f"(<{ONE}>), (<{TWO}>)",
        f"(<{ONE}>) </a> (<{TWO}>)",
        "</a>",
        "</a> </b> (<DAV:no-lock>)",
        "</a b> (<DAV:no-lock>)",
        "(<DAV:no-lock>) x",
        "x (<DAV:no-lock>)",
    ],
)
def test_malformed(header: str) -> None:
    with pytest.raises(MalformedIf):
        parse(header)


def test_the_message_says_where() -> None:
    with pytest.raises(MalformedIf, match="at character 17: expected a <state token>"):
        parse("(<DAV:no-lock>  x)")
