"""Dead properties and PROPPATCH (RFC 4918 sections 4.3 and 9.2), ``allprop`` and ``propname`` (section 9.1)."""

from __future__ import annotations

import pytest
from lxml import etree

from storage.store import Store
from tests.caldavd.client import DECLARATIONS, Client, event
from tests.caldavd.webdav.sharing import CAL, HOME, doctor, grant, put_file

FILE = HOME + "file.txt"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
#: Every kind of resource that keeps dead properties.
PATHS = (HOME, CAL, HOME + "plain/", CAL + "a.ics", FILE, "/principals/u1/")


@pytest.fixture(autouse=True)
def resources(u1: Client) -> None:
    u1.request("MKCOL", HOME + "plain/")
    u1.put(CAL + "a.ics", event("a"))
    put_file(u1, FILE)


def patch(client: Client, path: str, *instructions: str, **headers: str) -> object:
    return client.request("PROPPATCH", path, propertyupdate(*instructions), **headers)


def propertyupdate(*instructions: str) -> str:
    return f"<D:propertyupdate {DECLARATIONS} xmlns:X='urn:x'>{''.join(instructions)}</D:propertyupdate>"


def setting(inner: str) -> str:
    return f"<D:set><D:prop>{inner}</D:prop></D:set>"


def removing(inner: str) -> str:
    return f"<D:remove><D:prop>{inner}</D:prop></D:remove>"


def value(client: Client, path: str, element: str) -> etree._Element | None:
    """The property as it comes back; ``element`` is an empty element with its declaration."""
    answer = client.propfind(path, element)
    found = answer.xpath("//D:propstat[contains(D:status, ' 200 ')]/D:prop/*")
    return found[0] if found else None


def text(client: Client, path: str, name: str) -> str | None:
    found = value(client, path, f"<X:{name} xmlns:X='urn:x'/>")
    return None if found is None else (found.text or "")


@pytest.mark.parametrize("path", PATHS)
def test_on_every_kind(u1: Client, path: str) -> None:
    answer = u1.request("PROPPATCH", path, propertyupdate(setting("<X:p>v</X:p>")))
    assert answer.status == 207
    assert answer.hrefs == [path]
    assert text(u1, path, "p") == "v"
    u1.request("PROPPATCH", path, propertyupdate(removing("<X:p/>")))
    assert text(u1, path, "p") is None


class TestFidelity:
    def test_the_example_of_the_rfc(self, u1: Client) -> None:
        """Section 4.3.1, with the comment, the CDATA section and the language in scope."""
        body = """<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop xml:lang="en">
          <x:author xmlns:x='http://example.com/ns'>
            <x:name>Jane Doe</x:name>
            <!-- Jane's contact info -->
            <x:uri type='email'
                   added='2005-11-26'>mailto:jane.doe@example.com</x:uri>
            <x:notes xmlns:h='http://www.w3.org/1999/xhtml'>
              Jane has been working way <h:em>too</h:em> long on the
              long-awaited revision of <![CDATA[<RFC2518>]]>.
            </x:notes>
          </x:author></D:prop></D:set></D:propertyupdate>"""
        assert u1.request("PROPPATCH", FILE, body).status == 207
        author = value(u1, FILE, "<x:author xmlns:x='http://example.com/ns'/>")
        assert author is not None
        ns = "{http://example.com/ns}"
        assert author.get(LANG) == "en"
        assert author.findtext(f"{ns}name") == "Jane Doe"
        uri = author.find(f"{ns}uri")
        assert uri is not None
        assert (uri.get("type"), uri.get("added"), len(uri.attrib)) == ("email", "2005-11-26", 2)
        notes = author.find(f"{ns}notes")
        assert notes is not None
        assert notes.prefix == "x"
        assert notes[0].prefix == "h"
        assert notes[0].tag == "{http://www.w3.org/1999/xhtml}em"
        assert (notes[0].tail or "").endswith("revision of <RFC2518>.\n            ")

    @pytest.mark.parametrize(
        "xml",
        [
            "<p xmlns='urn:x'>plain</p>",
            "<p xmlns='urn:x'/>",
            "<p xmlns='urn:x'></p>",
            "<p xmlns='urn:x'>  white \n space\t </p>",
            "<p xmlns='urn:x'>&lt;&amp;&gt;&quot;&#13;\n</p>",
            "<p xmlns='urn:x'>\u00e4\u6f22\U0001f600</p>",
            "<p xmlns='urn:x'>a<b/>b<c xmlns=''>c</c>d</p>",
            "<p xmlns='urn:x' a='1' b='&lt;&quot;&#10;'/>",
            "<p xmlns='urn:x' xmlns:y='urn:y' y:a='1'><y:b y:c='2'/></p>",
            "<p xmlns='urn:x'><p xmlns='urn:y'><p xmlns='urn:x'/></p></p>",
            "<p xmlns='urn:x' xml:lang='de' xml:space='preserve'> x </p>",
            "<p xmlns='urn:x'><D:href xmlns:D='DAV:'>/x</D:href></p>",
            "<p xmlns='urn:x'>" + "<d>" * 40 + "</d>" * 40 + "</p>",
        ],
    )
    def test_comes_back_as_it_went(self, u1: Client, xml: str) -> None:
        body = f"<propertyupdate xmlns='DAV:'><set><prop>{xml}</prop></set></propertyupdate>"
        assert u1.request("PROPPATCH", FILE, body.encode()).status == 207
        found = value(u1, FILE, "<p xmlns='urn:x'/>")
        assert found is not None
        found.tail = None
        assert etree.tostring(found, method="c14n", exclusive=True) == etree.tostring(
            etree.fromstring(xml), method="c14n", exclusive=True
        )

    def test_prefixes_that_only_the_value_mentions(self, u1: Client) -> None:
        xml = "<X:p xmlns:q='urn:q' xmlns:r='urn:r' xmlns:s='urn:s' type='q:name'>r:name</X:p>"
        u1.request("PROPPATCH", FILE, propertyupdate(setting(xml)))
        found = value(u1, FILE, "<X:p xmlns:X='urn:x'/>")
        assert found is not None
        assert (found.nsmap.get("q"), found.nsmap.get("r"), found.nsmap.get("s")) == ("urn:q", "urn:r", None)

    @pytest.mark.parametrize(("where", "end"), [("propertyupdate", " "), ("set", ">"), ("prop", ">")])
    def test_language_in_scope(self, u1: Client, where: str, end: str) -> None:
        body = propertyupdate(setting("<X:p>v</X:p>")).replace(f"<D:{where}{end}", f"<D:{where} xml:lang='fr'{end}")
        u1.request("PROPPATCH", FILE, body)
        found = value(u1, FILE, "<X:p xmlns:X='urn:x'/>")
        assert found is not None
        assert found.get(LANG) == "fr"

    def test_names_are_namespace_and_local_name(self, u1: Client) -> None:
        names = ["<p xmlns='urn:1'>1</p>", "<p xmlns='urn:2'>2</p>", "<p xmlns=''>3</p>", "<P xmlns='urn:1'>4</P>"]
        u1.request("PROPPATCH", FILE, propertyupdate(*map(setting, names)))
        for name in names:
            element = etree.fromstring(name)
            found = value(u1, FILE, name)
            assert found is not None
            assert (found.tag, found.text) == (element.tag, element.text)

    def test_attributes_are_no_part_of_the_name(self, u1: Client) -> None:
        for colour in ("red", "blue"):
            u1.request("PROPPATCH", FILE, propertyupdate(setting(f"<X:p kind='{colour}'>{colour}</X:p>")))
        assert len(u1.request("PROPFIND", FILE, Depth="0").xpath("//*[local-name()='p']")) == 1
        assert text(u1, FILE, "p") == "blue"

    def test_many(self, u1: Client) -> None:
        names = "".join(f"<X:p{number}>{number}</X:p{number}>" for number in range(200))
        assert u1.request("PROPPATCH", FILE, propertyupdate(setting(names))).status == 207
        everything = u1.request("PROPFIND", FILE, Depth="0")
        assert {int(found.text) for found in everything.xpath("//*[namespace-uri()='urn:x']")} == set(range(200))


class TestOrder:
    def test_in_document_order(self, u1: Client) -> None:
        u1.request("PROPPATCH", FILE, propertyupdate(setting("<X:p>1</X:p>"), removing("<X:p/>")))
        assert text(u1, FILE, "p") is None
        u1.request("PROPPATCH", FILE, propertyupdate(removing("<X:p/>"), setting("<X:p>2</X:p>")))
        assert text(u1, FILE, "p") == "2"
        u1.request("PROPPATCH", FILE, propertyupdate(setting("<X:p>3</X:p><X:p>4</X:p>")))
        assert text(u1, FILE, "p") == "4"

    def test_removing_what_is_not_there(self, u1: Client) -> None:
        answer = u1.request("PROPPATCH", FILE, propertyupdate(removing("<X:p/>")))
        assert answer.status_of(FILE, "*[local-name()='p']") == 200


class TestAllOrNothing:
    @pytest.mark.parametrize("protected", ["getetag", "resourcetype", "lockdiscovery", "getcontentlength", "owner"])
    def test_protected(self, u1: Client, store: Store, protected: str) -> None:
        u1.request("PROPPATCH", FILE, propertyupdate(setting("<X:old>old</X:old>")))
        answer = u1.request(
            "PROPPATCH",
            FILE,
            propertyupdate(
                setting("<X:new>n</X:new>"), setting(f"<D:{protected}>x</D:{protected}>"), removing("<X:old/>")
            ),
        )
        assert answer.status == 207
        assert answer.status_of(FILE, f"D:{protected}") == 403
        assert answer.xpath("count(//D:propstat/D:error/D:cannot-modify-protected-property)") == 1
        assert answer.status_of(FILE, "*[local-name()='new']") == 424
        assert answer.status_of(FILE, "*[local-name()='old']") == 424
        assert (text(u1, FILE, "new"), text(u1, FILE, "old")) == (None, "old")
        assert doctor(store) == []

    def test_removing_a_protected_one(self, u1: Client) -> None:
        answer = u1.request("PROPPATCH", FILE, propertyupdate(removing("<D:getetag/>")))
        assert answer.status_of(FILE, "D:getetag") == 403

    def test_every_name_is_answered_once(self, u1: Client) -> None:
        answer = u1.request("PROPPATCH", FILE, propertyupdate(setting("<X:a>1</X:a><X:b>2</X:b>"), removing("<X:c/>")))
        assert [found.tag for found in answer.xpath("//D:prop/*")] == ["{urn:x}a", "{urn:x}b", "{urn:x}c"]
        assert answer.xpath("count(//D:propstat)") == 1
        assert answer.xpath("//D:prop/*/text()") == []


class TestMalformed:
    @pytest.mark.parametrize(
        "body",
        [
            "",
            "<D:propertyupdate",
            f"<D:propfind {DECLARATIONS}/>",
            propertyupdate(),
            propertyupdate("<D:set/>"),
            propertyupdate("<D:set><D:prop/></D:set>"),
            "<D:propertyupdate><D:set/></D:propertyupdate>",
            propertyupdate(setting("<Y:p/>")),
        ],
    )
    def test_400(self, u1: Client, body: str) -> None:
        assert u1.request("PROPPATCH", FILE, body).status == 400

    @pytest.mark.parametrize(
        "doctype",
        [
            "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/hostname'>]>",
            "<!DOCTYPE x SYSTEM 'http://localhost/x.dtd'>",
            "<!DOCTYPE x PUBLIC '-//x' 'http://localhost/x.dtd'>",
            "<!DOCTYPE x [<!ENTITY % e SYSTEM 'file:///etc/hostname'> %e;]>",
        ],
    )
    def test_external_entities(self, u1: Client, doctype: str) -> None:
        """RFC 4918 section 16: no-external-entities."""
        answer = u1.request("PROPPATCH", FILE, doctype + propertyupdate(setting("<X:p>x</X:p>")))
        assert (answer.status, answer.conditions) == (403, ["no-external-entities"])
        assert text(u1, FILE, "p") is None

    @pytest.mark.parametrize("doctype", ["<!DOCTYPE x>", "<!DOCTYPE x [<!ENTITY e 'internal'>]>"])
    def test_other_document_types(self, u1: Client, doctype: str) -> None:
        assert u1.request("PROPPATCH", FILE, doctype + propertyupdate(setting("<X:p>x</X:p>"))).status == 400

    def test_nothing_here(self, u1: Client) -> None:
        assert u1.request("PROPPATCH", HOME + "no.txt", propertyupdate(setting("<X:p/>"))).status == 404


class TestPropfind:
    def test_allprop_has_dead_ones_and_include(self, u1: Client) -> None:
        u1.request("PROPPATCH", FILE, propertyupdate(setting("<X:p>v</X:p>")))
        body = (
            f"<D:propfind {DECLARATIONS} xmlns:X='urn:x'><D:allprop/>"
            "<D:include><D:supported-report-set/><X:p/><X:q/></D:include></D:propfind>"
        )
        answer = u1.request("PROPFIND", FILE, body, Depth="0")
        assert len(answer.xpath("//*[local-name()='p']")) == 1
        assert answer.prop(FILE, "D:supported-report-set") is not None
        assert answer.status_of(FILE, "*[local-name()='q']") == 404
        for name in (
            "getetag",
            "getcontenttype",
            "getcontentlength",
            "getlastmodified",
            "creationdate",
            "resourcetype",
        ):
            assert answer.prop(FILE, f"D:{name}") is not None, name

    def test_no_body_is_allprop(self, u1: Client) -> None:
        body = f"<D:propfind {DECLARATIONS}><D:allprop/></D:propfind>"
        assert u1.request("PROPFIND", FILE, Depth="0").body == u1.request("PROPFIND", FILE, body, Depth="0").body

    def test_propname(self, u1: Client) -> None:
        u1.request("PROPPATCH", FILE, propertyupdate(setting("<X:p>v</X:p>")))
        answer = u1.request("PROPFIND", FILE, f"<D:propfind {DECLARATIONS}><D:propname/></D:propfind>", Depth="0")
        assert len(answer.xpath("//D:prop/*[local-name()='p']")) == 1
        assert answer.prop(FILE, "D:lockdiscovery") is not None
        assert answer.xpath("//D:prop/*/text()") == []
        assert answer.xpath("//D:prop/*/*") == []

    @pytest.mark.parametrize("depth", [None, "infinity"])
    def test_infinite_depth(self, u1: Client, depth: str | None) -> None:
        answer = u1.request("PROPFIND", HOME, **({"Depth": depth} if depth else {}))
        assert (answer.status, answer.conditions) == (403, ["propfind-finite-depth"])
        assert u1.request("PROPFIND", FILE).status == 207

    @pytest.mark.parametrize(
        "inner", ["", "<D:prop/><D:allprop/>", "<D:propname/><D:allprop/>", "<X:y xmlns:X='urn:x'/>"]
    )
    def test_malformed(self, u1: Client, inner: str) -> None:
        body = f"<D:propfind {DECLARATIONS}>{inner}</D:propfind>"
        assert u1.request("PROPFIND", FILE, body, Depth="0").status == 400


def test_needs_write_properties(u1: Client, u2: Client, store: Store) -> None:
    body = propertyupdate(setting("<X:p>v</X:p>"))
    assert u2.request("PROPPATCH", FILE, body).status == 404
    grant(store, HOME, "u2", "read", "write-content")
    refused = u2.request("PROPPATCH", FILE, body)
    assert (refused.status, refused.xpath("count(//D:privilege/D:write-properties)")) == (403, 1)
    grant(store, HOME, "u2", "write-properties")
    assert u2.request("PROPPATCH", FILE, body).status == 207


def test_a_change_of_properties_is_a_change(u1: Client) -> None:
    def ctag() -> str:
        return str(u1.propfind(CAL, "<CS:getctag/>").xpath("string(//CS:getctag)"))

    before, etag = ctag(), u1.request("GET", CAL + "a.ics").headers["ETag"]
    u1.request("PROPPATCH", CAL + "a.ics", propertyupdate(setting("<X:p>v</X:p>")))
    assert ctag() != before
    assert u1.request("GET", CAL + "a.ics").headers["ETag"] == etag


def test_a_put_keeps_them(u1: Client) -> None:
    u1.request("PROPPATCH", FILE, propertyupdate(setting("<X:p>v</X:p>")))
    put_file(u1, FILE, "changed")
    assert text(u1, FILE, "p") == "v"
    u1.request("DELETE", FILE)
    put_file(u1, FILE)
    assert text(u1, FILE, "p") is None


def test_a_name_may_have_letters_of_any_script(u1: Client) -> None:
    assert u1.proppatch(CAL, set="<Größe xmlns='urn:x' Maß='€'>😀</Größe>").status == 207
    found = value(u1, CAL, "<Größe xmlns='urn:x'/>")
    assert found is not None
    assert (found.tag, found.get("Maß"), found.text) == ("{urn:x}Größe", "€", "😀")
