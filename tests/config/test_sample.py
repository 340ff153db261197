"""The sample file, the reference in the documentation and the typed settings say the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from config.load import allowed, load, sections
from config.sample import render, with_reference
from config.settings import Settings

TREE = Path(__file__).parents[2]
EVERY_SETTING = [(name, key) for name, section in sections().items() for key in section.model_fields]


def test_the_committed_sample_is_the_one_that_the_settings_give() -> None:
    committed = (TREE / "config" / "caldavd.sample.toml").read_text("utf-8")
    assert committed == render(), "run: .venv/bin/python -m config.sample ."


def test_the_reference_in_the_documentation_is_the_one_that_the_settings_give() -> None:
    page = (TREE / "docs" / "configure.md").read_text("utf-8")
    assert page == with_reference(page), "run: .venv/bin/python -m config.sample ."


@pytest.mark.parametrize(("section", "key"), EVERY_SETTING)
def test_every_setting_is_documented(section: str, key: str) -> None:
    info = sections()[section].model_fields[key]
    assert info.description, "a setting needs a sentence below it"
    assert len(info.description.split()) > 3
    assert allowed(info)
    page = (TREE / "docs" / "configure.md").read_text("utf-8")
    chapter = page.split(f"### `[{section}]`")[1].split("### ")[0]
    assert f"| `{key}` |" in chapter


def test_the_sample_read_as_it_is_gives_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "caldavd.toml"
    file.write_text(render(), "utf-8")
    settings = load(file, {})
    assert settings == Settings(storage=settings.storage)


def test_the_sample_with_everything_said_aloud_gives_the_defaults(tmp_path: Path) -> None:
    aloud = re.sub(r"^#(?=\w)", "", render(), flags=re.MULTILINE)
    told = tomllib.loads(aloud)
    assert [(name, key) for name, keys in told.items() for key in keys] == EVERY_SETTING
    file = tmp_path / "caldavd.toml"
    file.write_text(aloud, "utf-8")
    settings = load(file, {})
    assert settings == Settings(storage=settings.storage)
    assert settings.storage.url == f"sqlite:///{tmp_path}/caldavd.db"


def test_every_line_of_the_sample_fits_a_screen() -> None:
    assert max(len(line) for line in render().splitlines()) <= 120
