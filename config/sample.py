"""The commented sample file and the reference of settings, both written out of ``config.settings``.

``caldavd config sample`` prints the first; ``python -m config.sample FOLDER`` writes ``config/caldavd.sample.toml`` and
the tables of ``docs/configure.md`` in a source tree, and a test compares them.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from config.load import allowed, sections

_HEAD = """\
caldavd's settings. Every setting is here with its default, commented out: remove the # to change it.
The environment wins over this file: CALDAVD_SERVER__PORT=8008 is [server] port = 8008.
File names count from the folder that this file is in. `caldavd config check` says whether all is well."""

_TABLES = re.compile(r"(<!-- settings: .*? -->\n).*?(<!-- end of settings -->)", re.DOTALL)


def toml_value(value: object) -> str:
    """A setting's value as TOML."""
    if value is None:
        return '""'
    if isinstance(value, ByteSize):
        return f'"{value.human_readable(separator=" ").replace(".0", "")}"' if value else "0"
    if isinstance(value, bool | int):
        return json.dumps(int(value) if isinstance(value, ByteSize) else value)
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(str(item)) for item in value) + "]"
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{_key(key)} = {toml_value(entry)}" for key, entry in value.items()) + " }"
            if value
            else "{}"
        )
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _described(info: FieldInfo) -> str:
    return " ".join((info.description or "").split())


def render() -> str:
    """The sample file."""
    parts = [_comment(_HEAD)]
    for name, section in sections().items():
        parts.append(f"\n\n{_comment(section.__doc__ or '')}\n[{name}]")
        for key, info in section.model_fields.items():
            about = f"{_comment(_described(info))}\n{_comment('Allowed: ' + allowed(info))}"
            parts.append(f"\n{about}\n#{key} = {toml_value(info.default)}")
    return "\n".join(parts) + "\n"


def _comment(text: str) -> str:
    lines = [line for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, 116)]
    return "\n".join(f"# {line}" for line in lines)


def reference() -> str:
    """The same as Markdown tables, one for each section."""
    parts = []
    for name, section in sections().items():
        rows = [
            f"| `{key}` | `{toml_value(info.default)}` | {_described(info)} Allowed: {allowed(info)}. |".replace(
                "\n", " "
            )
            for key, info in section.model_fields.items()
        ]
        parts.append(
            "\n".join(
                [f"### `[{name}]`\n", section.__doc__ or "", "", "| setting | default | |", "|---|---|---|", *rows]
            )
        )
    return "\n\n".join(parts) + "\n"


def with_reference(document: str) -> str:
    """``document`` with the tables between its two markers written anew."""
    return _TABLES.sub(lambda found: f"{found[1]}\n{reference()}\n{found[2]}", document)


def write(folder: Path) -> None:
    """Writes the generated files of the source tree at ``folder``."""
    (folder / "config" / "caldavd.sample.toml").write_text(render(), "utf-8")
    page = folder / "docs" / "configure.md"
    page.write_text(with_reference(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
