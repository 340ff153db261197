"""Which bodies pass the one door for XML, and which error the others are."""

from __future__ import annotations

import contextlib
import gc

import pytest

from caldavd.xml.parse import (
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_PREFIXES,
    ExternalEntity,
    MalformedXML,
    parse,
)


def _declared(encoding: str, inner: str = "x") -> bytes:
    return f'<?xml version="1.0" encoding="{encoding}"?><a>{inner}</a>'.encode()


def _prefixes(count: int) -> bytes:
    return b"<a>" + b"".join(b'<b xmlns:p%d="urn:x"/>' % number for number in range(count)) + b"</a>"


def _attributes(count: int) -> bytes:
    return b"<a " + b" ".join(b'b%d=""' % number for number in range(count)) + b"/>"


def _nested(depth: int) -> bytes:
    return b"<a>" * depth + b"</a>" * depth


TAKEN = {
    "the least": b"<a/>",
    "comments and instructions": b"<?x y?><a><!-- c --><?x y?></a><!-- c -->",
    "references": b"<a>&amp;&#252;</a>",
    "UTF-16": '<?xml version="1.0" encoding="utf-16"?><a>\u00fc</a>'.encode("utf-16"),
    "Latin-1": '<?xml version="1.0" encoding="iso-8859-1"?><a>\u00fc</a>'.encode("latin-1"),
    "as deep as may be": _nested(MAX_DEPTH),
    "as many elements": b"<a>" + b"<b/>" * (MAX_ELEMENTS - 1) + b"</a>",
    "as many attributes": _attributes(MAX_ATTRIBUTES),
    "as many prefixes": _prefixes(MAX_PREFIXES),
    "one prefix again and again": b"<a>" + b'<b xmlns:p="urn:x"/>' * (MAX_PREFIXES + 1) + b"</a>",
}
REFUSED = {
    "nothing": b"",
    "no XML": b"BEGIN:VCALENDAR",
    "an end that is missing": b"<a>",
    "two roots": b"<a/><b/>",
    "a prefix without a namespace": b"<p:a/>",
    "an entity that nobody declared": b"<a>&b;</a>",
    "an attribute twice": b'<a b="" b=""/>',
    "bytes that are no UTF-8": b"<a>\xff</a>",
    "a character that XML has not": b"<a>&#0;</a>",
    "an encoding that nobody knows": _declared("nope"),
    "an encoding that is no text's": _declared("hex"),
    "an encoding of several bytes": _declared("shift_jis"),
    "UTF-7": _declared("utf-7", "+ADwAIQ-"),
    "an encoding with NUL": _declared("a\0b"),
    "a document type": b"<!DOCTYPE a><a/>",
    "a document type in UTF-16": "<!DOCTYPE a><a/>".encode("utf-16"),
    "entities of its own": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    "too deep": _nested(MAX_DEPTH + 1),
    "too many elements": b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>",
    "too many attributes": _attributes(MAX_ATTRIBUTES + 1),
    "too many prefixes": _prefixes(MAX_PREFIXES + 1),
}
OUTSIDE = {
    "another document type": b'<!DOCTYPE a SYSTEM "http://localhost/x"><a/>',
    "another document type, in UTF-16": '<!DOCTYPE a PUBLIC "x" "y"><a/>'.encode("utf-16"),
    "a file": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
}


@pytest.mark.parametrize("body", TAKEN.values(), ids=TAKEN)
def test_taken(body: bytes) -> None:
    assert parse(body).tag == "a"


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_refused(body: bytes) -> None:
    with pytest.raises(MalformedXML) as error:
        parse(body)
    assert not isinstance(error.value, ExternalEntity)


@pytest.mark.parametrize("body", OUTSIDE.values(), ids=OUTSIDE)
def test_what_is_outside_is_an_error_of_its_own(body: bytes) -> None:
    with pytest.raises(ExternalEntity):
        parse(body)


def test_nothing_is_left_for_the_collector() -> None:
    """A body may be megabytes."""
    gc.collect()
    for body in (b"<a>" + b"<b/>" * 1000 + b"</a>", b"<a>", b"<!DOCTYPE a><a/>"):
        with contextlib.suppress(MalformedXML):
            parse(body)
    assert gc.collect() == 0
