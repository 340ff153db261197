"""``Content-Language`` and ``DAV:getcontentlanguage`` (RFC 4918 section 15.3): one value, by PUT, POST or PROPPATCH.

A PUT without the header leaves it as it is (section 9.7.1).
"""

from __future__ import annotations

import re
from typing import Final

from caldavd.context import Context
from caldavd.errors import bad_request
from caldavd.xml.fragment import text
from caldavd.xml.names import DAV_NS
from caldavd.xml.parse import parse, text_of
from storage.rows import ObjectRow, Owner, StoredProperty

_NAME: Final = "getcontentlanguage"
_TAG: Final = "[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*"  # RFC 9110 section 8.5.1
_TAGS: Final = re.compile(rf"{_TAG}(?:[ \t]*,[ \t]*{_TAG})*")
_MOST: Final = 255


def is_language(value: str) -> bool:
    """Whether this is one language tag or several with commas between them: nothing else becomes a header."""
    return len(value) <= _MOST and _TAGS.fullmatch(value) is not None


def keep_language(context: Context, row: ObjectRow) -> None:
    """Stores the request's ``Content-Language`` with the member that it has just written. Raises 400 for nonsense."""
    value = (context.request.header("Content-Language") or "").strip()
    if not value:
        return
    if not is_language(value):
        raise bad_request("Content-Language is a language tag like de-AT, or several with commas between them.")
    xml = f'<D:{_NAME} xmlns:D="{DAV_NS}">{text(value)}</D:{_NAME}>'.encode()
    context.tx.properties.set(StoredProperty(Owner("object", row.id), 0, DAV_NS, _NAME, xml))


def language_of(context: Context, row: ObjectRow) -> str:
    """What GET sends as ``Content-Language``; empty where nothing is stored."""
    owner = Owner("object", row.id)
    found = context.tx.properties.of([owner], principal_id=context.user.id, names=[(DAV_NS, _NAME)]).get(owner, ())
    value = text_of(parse(found[0].xml)) if found else ""
    return value if is_language(value) else ""
