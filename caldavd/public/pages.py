"""HTML for people who have come by a link: whole pages out of escaped pieces.

Without a script, without anything from elsewhere, readable by a screen reader and on a telephone. Nothing may show a
page of ours inside of another one (clickjacking), and forms go only to where they came from.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Final

from caldavd.response import Response

if TYPE_CHECKING:
    from scheduling.mail.mailtext import Fact
    from scheduling.mail.wording import Language

_STYLE: Final = """
:root { color-scheme: light dark; --line: #b9c4cc; --accent: #1f6286; --soft: #eef4f8; --bad: #a4262c }
@media (prefers-color-scheme: dark) { :root { --line: #55636d; --accent: #8cc8ea; --soft: #1d2a33; --bad: #ff9c9c } }
body { font: 1.0625rem/1.5 system-ui, sans-serif; margin: 0 }
main { max-width: 40rem; margin: 0 auto; padding: 1.5rem 1rem 3rem }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .25rem 0 1rem; overflow-wrap: anywhere }
h2 { font-size: 1.125rem; margin: 1.75rem 0 .5rem }
.kind { margin: 0; opacity: .8 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1rem; margin: 1rem 0; padding: .75rem 1rem;
  border-left: .25rem solid var(--accent); background: var(--soft) }
dt { opacity: .8 } dd { margin: 0; overflow-wrap: anywhere; white-space: pre-line }
.note, .said, .bad { padding: .6rem .9rem; border: 1px solid var(--line); border-left-width: .3rem;
  border-radius: .25rem }
.said { border-left-color: #2e7d4f } .note { border-left-color: #c98a00 } .bad { border-left-color: var(--bad) }
label, .label { display: block; margin: .75rem 0 .2rem }
input, select, textarea { font: inherit; padding: .4rem .5rem; border: 1px solid var(--line); border-radius: .25rem;
  max-width: 100%; box-sizing: border-box; background: transparent; color: inherit }
option { color: initial; background: initial }
textarea { width: 100%; min-height: 4.5rem }
fieldset { border: 0; padding: 0; margin: 0 } .row { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem }
.buttons { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1.1rem 0 }
button { font: inherit; padding: .5rem 1.2rem; border: 1px solid var(--accent); border-radius: .3rem; cursor: pointer;
  color: var(--accent); background: transparent }
button.first { color: Canvas; background: var(--accent) }
button:focus-visible, input:focus-visible, select:focus-visible, textarea:focus-visible, a:focus-visible {
  outline: .2rem solid #e0a100; outline-offset: .1rem }
a { color: var(--accent) } .hint { opacity: .8; font-size: .9375rem } details { margin-top: 2rem }
@media (max-width: 30rem) { dl { display: block } dd { margin-bottom: .5rem } }
"""
_STYLE_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

#: Content Security Policy Level 3: nothing but this style, and forms that come back here. The old header is for
#: browsers that do not know ``frame-ancestors``.
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Accept-Language",
}


def page(language: Language, title: str, parts: Iterable[str], *, kind: str = "", status: int = 200) -> Response:
    """A page; ``parts`` are fragments that are escaped already, ``kind`` stands above the title."""
    above = f'<p class="kind">{escape(kind)}</p>\n' if kind else ""
    inner = "\n".join(parts)
    text = (
        f'<!DOCTYPE html>\n<html lang="{language.tag}">\n<head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style></head>\n"
        f"<body><main>\n{above}<h1>{escape(title)}</h1>\n{inner}\n</main></body></html>\n"
    )
    return Response(status, {**_HEADERS, "Content-Language": language.tag}, text.encode())


def paragraph(text: str, *, mark: str = "") -> str:
    """A paragraph; ``mark`` is ``said`` (something was done), ``note`` or ``bad`` (something is wrong)."""
    if not mark:
        return f"<p>{escape(text)}</p>"
    role = {"said": "status", "note": "note", "bad": "alert"}[mark]
    return f'<p class="{mark}" role="{role}">{escape(text)}</p>'


def heading(text: str) -> str:
    """The heading of a part of the page."""
    return f"<h2>{escape(text)}</h2>"


def table_of(language: Language, facts: Iterable[Fact]) -> str:
    """Facts about an event, with what they were before where that is different."""
    rows = []
    for fact in facts:
        text = escape(fact.text)
        if fact.before is not None:
            text += f"<br><small>({escape(language.say('was', text=fact.before))})</small>"
        rows.append(f"<dt>{escape(language.say(fact.label))}</dt><dd>{text}</dd>")
    return f"<dl>{''.join(rows)}</dl>"


def form(action: str, parts: Iterable[str], *, hidden: Mapping[str, str] | None = None, method: str = "post") -> str:
    """A form; ``hidden`` are the fields that come back as they are."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in (hidden or {}).items()
    )
    return f'<form method="{method}" action="{escape(action)}">{fields}\n{"".join(parts)}</form>'


def field(name: str, label: str, value: str, *, kind: str, extra: str = "") -> str:
    """A labelled input of one line."""
    return (
        f'<span><label for="{name}">{escape(label)}</label>'
        f'<input id="{name}" name="{name}" type="{kind}" value="{escape(value)}" required {extra}></span>'
    )


def choice(name: str, label: str, options: Iterable[tuple[str, str]], *, chosen: str) -> str:
    """A labelled list of which one is chosen: values and what they are called."""
    items = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(said)}</option>'
        for value, said in options
    )
    return f'<label for="{name}">{escape(label)}</label><select id="{name}" name="{name}">{items}</select>'


def text_area(name: str, label: str, value: str, *, most: int) -> str:
    """A labelled input of several lines and at most ``most`` characters."""
    return (
        f'<label for="{name}">{escape(label)}</label>'
        f'<textarea id="{name}" name="{name}" maxlength="{most}">\n{escape(value)}</textarea>'
    )


def buttons(name: str, options: Iterable[tuple[str, str]], *, first: str) -> str:
    """Buttons that send the form with ``name`` set; ``first`` is the one that stands out."""
    made = "".join(
        f'<button name="{name}" value="{escape(value)}"{" class=first" if value == first else ""}>{escape(said)}'
        "</button>"
        for value, said in options
    )
    return f'<div class="buttons">{made}</div>'


def link(href: str, text: str) -> str:
    """A paragraph with a link."""
    return f'<p><a href="{escape(href)}">{escape(text)}</a></p>'
