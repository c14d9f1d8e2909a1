"""The folders hold what the layout says: packages in component folders, every package in the wheel and in the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.project import COMPONENTS, PYPROJECT, ROOT

PACKAGES = sorted(path.parent for component in COMPONENTS for path in (ROOT / component).glob("*/__init__.py"))


@pytest.mark.parametrize("component", COMPONENTS)
def test_no_module_lies_directly_in_a_component_folder(component: str) -> None:
    assert list((ROOT / component).glob("*.py")) == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_a_package_says_that_it_is_typed(package: Path) -> None:
    assert (package / "py.typed").exists()


def test_the_wheel_holds_every_package() -> None:
    listed = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert sorted(listed) == sorted(str(package.relative_to(ROOT)) for package in PACKAGES)


def test_the_import_rules_cover_every_package() -> None:
    rules = PYPROJECT["tool"]["importlinter"]

    names = sorted(package.name for package in PACKAGES)
    assert sorted(rules["root_packages"]) == names
    assert sorted(" | ".join(rules["contracts"][0]["layers"]).split(" | ")) == names


def test_type_checks_and_editable_installs_see_every_component() -> None:
    tools = PYPROJECT["tool"]

    assert sorted(tools["hatch"]["build"]["dev-mode-dirs"]) == sorted(COMPONENTS)
    assert sorted(tools["mypy"]["files"]) == sorted(COMPONENTS)
