"""The house itself: what is imported comes from this tree, packages have no surprises, documents say what is so."""

from __future__ import annotations

import configparser
import importlib
import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from caldavd.__main__ import COMMANDS
from config.load import sections

TREE = Path(__file__).parents[1]
FLOORS = ("caldavd", "scheduling", "storage", "config")
MODULES = sorted(
    ".".join(file.relative_to(TREE).with_suffix("").parts).removesuffix(".__init__")
    for floor in FLOORS
    for file in (TREE / floor).rglob("*.py")
    if "migrations" not in file.parts
)
DOCUMENTS = sorted([*TREE.glob("*.md"), *(TREE / "docs").rglob("*.md"), *(TREE / "conformance").rglob("*.md")])


@pytest.mark.parametrize("floor", FLOORS)
def test_the_four_packages_come_from_this_tree(floor: str) -> None:
    module = importlib.import_module(floor)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == (TREE / floor / "__init__.py").resolve()


@pytest.mark.parametrize("floor", FLOORS)
def test_no_other_distribution_brings_a_package_of_that_name(floor: str) -> None:
    assert set(packages_distributions().get(floor, ["caldavd"])) == {"caldavd"}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_owns(module: str) -> None:
    assert (importlib.import_module(module).__doc__ or "").strip(), "a module docstring says what the module owns"


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {file.parent for file in (TREE / "tests").rglob("test_*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_the_licence_is_the_one_that_the_package_names() -> None:
    setup = configparser.ConfigParser()
    setup.read(TREE / "setup.cfg", encoding="utf-8")
    assert setup["metadata"]["license_expression"] == "GPL-3.0-or-later"
    text = (TREE / "LICENSE").read_text("utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "Version 3, 29 June 2007" in text


def test_the_build_backend_is_named() -> None:
    project = tomllib.loads((TREE / "pyproject.toml").read_text("utf-8"))
    assert project["build-system"]["build-backend"] == "setuptools.build_meta"
    assert "project" not in project, "setup.cfg describes the package"


def test_the_test_extra_has_what_the_other_extras_have_to_offer_for_tests() -> None:
    setup = configparser.ConfigParser()
    setup.read(TREE / "setup.cfg", encoding="utf-8")
    extras = {name: set(text.split("\n")) - {""} for name, text in setup["options.extras_require"].items()}
    assert set(extras) == {"postgresql", "mysql", "redis", "ldap", "pam", "test"}
    assert extras["postgresql"] | extras["mysql"] | extras["redis"] <= extras["test"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TREE)))
def test_links_in_documents_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text("utf-8"), flags=re.DOTALL)
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in target]
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TREE)))
def test_commands_in_documents_exist(document: Path) -> None:
    named = re.findall(
        r"(?:`|^    (?:\S+/)?)caldavd (?:--config \S+ )?([a-z][a-z-]*)", document.read_text("utf-8"), re.MULTILINE
    )
    assert sorted(set(named) - set(COMMANDS)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TREE)))
def test_targets_of_make_in_documents_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (TREE / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = re.findall(r"(?:`|^    )make ([a-z][a-z-]*)", document.read_text("utf-8"), re.MULTILINE)
    assert sorted(set(named) - targets) == []


@pytest.mark.parametrize(
    ("section", "key"), [(name, key) for name, one in sections().items() for key in one.model_fields]
)
def test_every_setting_is_read_by_somebody(section: str, key: str) -> None:
    files = [file for floor in ("caldavd", "scheduling", "storage") for file in (TREE / floor).rglob("*.py")]
    assert any(re.search(rf"\.{key}\b", file.read_text("utf-8")) for file in files), f"nothing reads [{section}] {key}"


@pytest.mark.parametrize("name", ["install", "configure", "upgrade", "backup"])
def test_what_a_sysadmin_needs_is_there(name: str) -> None:
    assert len((TREE / "docs" / f"{name}.md").read_text("utf-8").split()) > 100


def test_the_samples_for_deployment_go_into_the_wheel() -> None:
    names = {file.name for file in (TREE / "config" / "deployment").iterdir()}
    assert {"caldavd.service", "nginx.conf", "apache.conf"} <= names
    for name in names:
        assert name in (TREE / "docs" / "install.md").read_text("utf-8"), f"docs/install.md should name {name}"
