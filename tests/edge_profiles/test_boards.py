"""Shipped profiles are whole; a faulty file is refused in one sentence that names file, key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_contracts.manifest import Engine, ProfileClass
from edge_profiles.boards import FOLDER, load, load_file, shipped
from edge_profiles.errors import InvalidProfile
from edge_profiles.schemes import SCHEMES

PROFILES = shipped()
TEXT = (FOLDER / "rpi4-litert.toml").read_text()
MICRO = (FOLDER / "cortex-m4-stm32l4r5.toml").read_text()


def test_every_class_of_hardware_has_a_profile():
    assert {profile.profile_class for profile in PROFILES} == set(ProfileClass)
    assert {profile.engine for profile in PROFILES} == set(Engine)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_shipped_profile_is_found_by_the_name_of_its_file(profile):
    assert load(profile.name) == profile
    assert load(str(FOLDER / f"{profile.name}.toml")) == profile


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_its_schemes_run_on_its_engine(profile):
    assert set(profile.schemes) <= set(SCHEMES[profile.engine, profile.accelerator])
    assert profile.format in {"tflite", "onnx"}


def test_a_profile_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        PROFILES[0].threads = 8


FAULTS = {
    "wrong unit": ('unit = "ms"', 'unit = "s"', r"`budgets.latency.unit` is 's': should be 'ms'"),
    "no source": (', source = "a choice: five answers a second"', "", r"`budgets.latency.source` is missing"),
    "unknown key": ("threads = 2", "thread = 2", r"`thread` is not a key of the format"),
    "unknown key in a table": ("ram =", "rom =", "`memory.rom` is not a key of the format"),
    "misspelt key": ('title = "', 'titel = "', "`titel` is not a key of the format"),
    "missing key": ('architecture = "aarch64"', "", "`architecture` is missing"),
    "unknown engine": ('"litert"', '"foo"', r"`engine` is 'foo': should be 'onnxruntime', 'litert', "),
    "scheme of another engine": ('"int8"', '"qdq-u8s8"', "scheme qdq-u8s8 does not run here; allowed: fp32, fp16"),
    "accelerator of another engine": ('accelerator = "cpu"', 'accelerator = "mcu"', "engine litert has no accelerator"),
    "fallback of another engine": ("threads = 2", 'fallback = "ethos-u"', "fallback ethos-u is not an accelerator"),
    "bad name": ('name = "rpi4-litert"', 'name = "RPi 4"', "`name` is 'RPi 4'"),
    "negative figure": ("value = 200,", "value = -200,", "`budgets.latency.value` is -200"),
    "share over one": ("threads = 2", "coverage_floor = 1.5", "`coverage_floor` is 1.5"),
    "not TOML": ("[budgets]", "[budgets", "is not TOML: .* line 13"),
}


@pytest.mark.parametrize(("old", "new", "sentence"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_with_file_key_and_what_is_allowed(tmp_path: Path, old: str, new: str, sentence: str):
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new, 1))

    with pytest.raises(InvalidProfile, match=sentence) as refusal:
        load_file(path)

    assert str(path) in str(refusal.value)
    assert refusal.value.hint


def test_a_microcontroller_needs_an_arena(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(line for line in MICRO.splitlines() if not line.startswith("arena")))

    with pytest.raises(InvalidProfile, match=r"memory\.arena is missing"):
        load_file(path)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InvalidProfile, match="no hardware profile 'rpi9'") as refusal:
        load("rpi9")

    assert "rpi4-litert" in refusal.value.hint


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(InvalidProfile, match=r"nowhere/mine.toml is not readable: No such file"):
        load("nowhere/mine.toml")
