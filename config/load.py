"""From a TOML file and the environment to ``Settings``, or to sentences that say what is wrong with them.

The environment wins: ``CALDAVD_SECTION__KEY`` (``CALDAVD_SERVER__PORT``; ``CALDAVD_AUTH__OPTIONS__LDAP_URI`` for an
entry of a table). Every problem is one line naming the place, the key, the value and what is allowed.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ByteSize, ValidationError
from pydantic.fields import FieldInfo

from config.settings import Allowed, DatabaseUrl, FileName, Section, Settings, without_password

PREFIX = "CALDAVD_"
#: Names with this prefix that are no settings: which file to read, and what the test suite is told.
OTHER_VARIABLES = (PREFIX + "CONFIG", PREFIX + "TEST_")
#: Read in this order where neither the command line nor ``CALDAVD_CONFIG`` names a file; the first that exists counts.
USUAL_PLACES = (Path("caldavd.toml"), Path("/etc/caldavd/caldavd.toml"))


class SettingsError(Exception):
    """The settings cannot be used; ``problems`` are whole sentences, one for each thing that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def sections() -> dict[str, type[Section]]:
    """The sections by name, in the order of the file."""
    return {name: typing.cast("type[Section]", info.annotation) for name, info in Settings.model_fields.items()}


def find(named: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: the one that was named, ``CALDAVD_CONFIG``, or the first usual place where one is."""
    if named is not None:
        return named
    if environ.get(PREFIX + "CONFIG"):
        return Path(environ[PREFIX + "CONFIG"])
    return next((place for place in USUAL_PLACES if place.is_file()), None)


def load(file: Path | None, environ: Mapping[str, str]) -> Settings:
    """Reads ``file`` (``None``: there is none, defaults count) and what ``environ`` says on top of it.

    Raises:
        SettingsError: a file that cannot be read or is no TOML, an unknown section or key, a value that is not allowed.
    """
    origins: dict[tuple[str, ...], str] = {}
    tree = _read(file) if file else {}
    for section, keys in tree.items():
        for key in keys if isinstance(keys, dict) else ():
            origins[section, key] = str(file)
    _overlay(tree, environ, origins)
    problems = [*_unknown(tree, origins, str(file))]
    if not problems:
        _resolve(tree, (file.parent if file else Path()).absolute())
        try:
            return Settings.model_validate(tree)
        except ValidationError as error:
            problems += _explain(error, origins, str(file))
    raise SettingsError(list(dict.fromkeys(problems)))


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SettingsError([f"{file}: this config file cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"{file}: this is no TOML file: byte {error.start + 1} is not UTF-8"]) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{file}: this is no TOML: {error}"]) from error


def _overlay(tree: dict[str, Any], environ: Mapping[str, str], origins: dict[tuple[str, ...], str]) -> None:
    """Puts the variables into the tree of the file."""
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable.startswith(OTHER_VARIABLES):
            continue
        section, *keys = variable.removeprefix(PREFIX).lower().split("__")
        place = tree.setdefault(section, {})
        origins[(section, *keys[:1])] = variable
        if not keys or not isinstance(place, dict):
            tree[section] = text
            continue
        for key in keys[:-1]:
            inner = place.get(key)
            place[key] = place = dict(inner) if isinstance(inner, dict) else {}
        place[keys[-1]] = text if len(keys) > 1 else _from_text(section, keys[-1], text)


def _from_text(section: str, key: str, text: str) -> object:
    """What a variable's text means for this setting: lists are separated by commas, tables are inline TOML."""
    info = _field(section, key)
    kind = typing.get_origin(info.annotation) if info else None
    if kind is tuple:
        return [item for item in re.split(r"[\s,]+", text.strip("[] ").replace('"', "")) if item]
    if kind is dict:
        try:
            return tomllib.loads(f"table = {text}")["table"]
        except tomllib.TOMLDecodeError:
            return text
    return None if info and text == "" and type(None) in typing.get_args(info.annotation) else text


def _field(section: str, key: str) -> FieldInfo | None:
    kind = sections().get(section)
    return kind.model_fields.get(key) if kind else None


def _unknown(tree: dict[str, Any], origins: Mapping[tuple[str, ...], str], file: str) -> list[str]:
    """A sentence for each section and key that does not exist."""
    problems = []
    for section, keys in tree.items():
        if section not in sections():
            place = next((origin for path, origin in origins.items() if path[0] == section), file)
            problems.append(f"{place}: there is no section [{section}]{_like(section, sections())}")
        elif not isinstance(keys, dict):
            place = origins.get((section,), file)
            problems.append(
                f"{place}: {section} = {_shown(keys)}: this is a section: write [{section}] and its settings below"
            )
        else:
            known = sections()[section].model_fields
            problems += [
                f"{origins.get((section, key), file)}: [{section}] {key} = "
                f"{_shown('…' if _private(key) else keys[key])}: "
                f"there is no such setting{_like(key, known)}"
                for key in keys
                if key not in known
            ]
    return problems


def _like(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"{meant}; allowed: {', '.join(known)}" if not meant else f"{meant} Allowed: {', '.join(known)}"


def _resolve(tree: dict[str, Any], folder: Path) -> None:
    """Makes file names absolute: they count from the config file's folder, wherever the server is started."""
    for section, kind in sections().items():
        for key, info in kind.model_fields.items():
            given = tree.get(section, {}).get(key, info.default)
            if not isinstance(given, str) or not given:
                continue
            if any(isinstance(mark, FileName) for mark in info.metadata):
                tree.setdefault(section, {})[key] = str(folder / given)
            elif any(isinstance(mark, DatabaseUrl) for mark in info.metadata):
                tree.setdefault(section, {})[key] = re.sub(
                    r"^(sqlite(?:\+\w+)?:///)(?![/:])([^?]+)", lambda found: found[1] + str(folder / found[2]), given
                )


def _explain(error: ValidationError, origins: Mapping[tuple[str, ...], str], file: str) -> list[str]:
    problems = []
    for problem in error.errors():
        section, *rest = (str(part) for part in problem["loc"])
        if not rest:  # a rule between settings of one section
            place = next((origin for path, origin in origins.items() if path[0] == section), file)
            problems.append(f"{place}: [{section}]: {problem['msg'].removeprefix('Value error, ')}")
            continue
        key, info = rest[0], _field(section, rest[0])
        value = "…" if key == "url" or _private(key) else problem["input"]
        wanted = allowed(info) if info else problem["msg"]
        problems.append(f"{origins.get((section, key), file)}: [{section}] {key} = {_shown(value)}: must be {wanted}")
    return problems


def _private(key: str) -> bool:
    """Whether a setting of this name, also misspelt, holds a password."""
    return any(difflib.get_close_matches(word, ("password",)) for word in key.split("_"))


def _shown(value: object) -> str:
    value = without_password(value) if isinstance(value, str) else value
    return json.dumps(value, ensure_ascii=False, default=str)


def allowed(info: FieldInfo) -> str:
    """What a setting may be, in words."""
    for mark in info.metadata:
        if isinstance(mark, Allowed):
            return mark.text
    bounds = {
        name: getattr(mark, name)
        for mark in info.metadata
        for name in ("ge", "le", "min_length", "max_length")
        if hasattr(mark, name)
    }
    if typing.get_origin(info.annotation) is Literal:
        return " or ".join(f'"{choice}"' for choice in typing.get_args(info.annotation))
    if info.annotation is bool:
        return "true or false"
    if info.annotation in (int, ByteSize):
        return f"a whole number from {bounds['ge']} to {bounds['le']}"
    if "max_length" in bounds:
        return f"a text of {bounds.get('min_length', 0)} to {bounds['max_length']} characters"
    return "a text"
