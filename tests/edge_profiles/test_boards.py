"""Shipped profiles are whole, and each of their figures says where it is from."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
import tflite_micro
from ai_edge_litert import schema_py_generated as schema
from ethosu import vela

from edge_contracts.manifest import Accelerator, Engine, ProfileClass
from edge_profiles.boards import FOLDER, load, shipped
from edge_profiles.errors import InvalidProfile
from edge_profiles.operators import TFLITE_OPERATORS
from edge_profiles.profile import Figure, Profile
from edge_profiles.schemes import CLASSES, FORMATS, SCHEMES
from edge_profiles.vela import VelaMemoryMode, VelaSystem

PROFILES = shipped()
each_profile = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
DOCUMENT = re.compile(r"(assumed: |a choice: |a choice among |[A-Z][\w .'-]+[:,(] ?)")
"""A document's name with a place or a quotation after it, or a word that it is none, with the reason."""


def figures(profile: Profile) -> dict[str, Figure]:
    tables = {"memory": profile.memory, "budgets": profile.budgets}
    found = {f"{name}.{key}": value for name, table in tables.items() for key, value in table if value is not None}
    return {key: value for key, value in found.items() if isinstance(value, Figure)}


def test_every_class_engine_and_accelerator_has_a_profile():
    assert {profile.profile_class for profile in PROFILES} == set(ProfileClass)
    assert {profile.engine for profile in PROFILES} == set(Engine)
    assert {profile.accelerator for profile in PROFILES} == set(Accelerator)


def test_names_are_unique():
    names = [profile.name for profile in PROFILES]
    assert len(set(names)) == len(names)
    assert len({profile.title for profile in PROFILES}) == len(names)


@each_profile
def test_a_shipped_profile_is_found_by_the_name_of_its_file(profile: Profile):
    assert load(profile.name) == profile
    assert load(str(FOLDER / f"{profile.name}.toml")) == profile


@each_profile
def test_its_schemes_run_on_its_engine_and_on_its_fallback(profile: Profile):
    where = {profile.accelerator, profile.fallback or profile.accelerator}

    for accelerator in where:
        assert set(profile.schemes) <= set(SCHEMES[profile.engine, accelerator])


@each_profile
def test_each_figure_names_a_document_or_says_that_it_is_a_choice_or_assumed(profile: Profile):
    sources = {key: figure.source for key, figure in figures(profile).items()}
    sources |= {"operators": profile.operators.source} if profile.operators else {}
    sources |= {"vela": profile.vela.source} if profile.vela else {}

    assert sources
    assert not {key: source for key, source in sources.items() if not DOCUMENT.match(source)}


@each_profile
def test_what_the_hardware_is_names_a_document_or_an_assumption_and_only_what_is_granted_is_a_choice(profile: Profile):
    chosen = {key for key, figure in figures(profile).items() if figure.source.startswith("a choice")}

    assert chosen.isdisjoint({"memory.ram", "memory.flash"})
    assert chosen >= {key for key in figures(profile) if key.startswith("budgets.") or key == "memory.arena"}


@each_profile
def test_its_figures_are_in_the_units_of_a_plausible_board(profile: Profile):
    """A figure in kilobytes or seconds falls out of these bounds."""
    ram, latency = profile.memory.ram.value, profile.budgets.latency
    low, high = (2**17, 2**24) if profile.profile_class is ProfileClass.MCU else (2**22, 2**36)

    assert low <= ram <= high
    assert latency is None or 10 <= latency.value <= 10_000
    assert all(figure.value >= 2**16 for figure in figures(profile).values() if figure.unit == "byte")


@each_profile
def test_a_microcontrollers_operators_are_kernels_of_tflite_micro(profile: Profile):
    """By the names under which the real library registers them."""
    if profile.engine is not Engine.TFLITE_MICRO:
        assert profile.operators is None or set(profile.operators.allow) <= TFLITE_OPERATORS
        return
    library = Path(tflite_micro.__file__).parent / "python/tflite_micro/_runtime.so"
    mangled = re.findall(rb"(\d+)(Register_[A-Z0-9_]+)", library.read_bytes())
    kernels = {name[: int(length)].decode().removeprefix("Register_") for length, name in mangled}

    assert profile.operators is not None
    assert len(kernels) > 100
    assert set(profile.operators.allow) <= kernels


def test_every_engine_has_a_format_and_every_accelerator_a_class():
    assert set(FORMATS) == set(Engine)
    assert set(CLASSES) == {accelerator for _, accelerator in SCHEMES} == set(Accelerator)


def test_the_names_of_operators_are_those_of_the_schema():
    names = {name for name in vars(schema.BuiltinOperator) if name.isupper() or name[0].isupper()}
    others = {"CUSTOM", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES"}

    assert {name for name in names if not name.startswith("STABLEHLO_")} - others == TFLITE_OPERATORS


def test_the_names_of_systems_and_memory_modes_are_those_of_velas_own_file():
    file = configparser.ConfigParser()
    file.read(Path(vela.__file__).parent.parent / "config_files" / "Arm" / "vela.ini")

    assert {f"System_Config.{each}" for each in VelaSystem} | {f"Memory_Mode.{each}" for each in VelaMemoryMode} == set(
        file.sections()
    )


def test_a_profile_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        PROFILES[0].threads = 8


@pytest.mark.parametrize(("name", "meant"), [("rpi5litert", "rpi5-litert"), ("esp32s3", "esp32-s3"), ("coral", "")])
def test_an_unknown_name_is_answered_with_the_nearest_and_all_known_ones(name: str, meant: str):
    with pytest.raises(InvalidProfile, match=f"no hardware profile '{name}'") as refusal:
        load(name)

    assert refusal.value.hint.startswith(f"Did you mean {meant}? Shipped are: " if meant else "Shipped are: ")
    assert all(profile.name in refusal.value.hint for profile in PROFILES)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(InvalidProfile, match=r"nowhere/mine.toml is not readable: No such file"):
        load("nowhere/mine.toml")
