"""A faulty file is refused in one sentence for each fault: file, key, what was given, what is allowed or was meant."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge_profiles.boards import FOLDER, in_file, load_file, read_file, shipped
from edge_profiles.errors import InvalidProfile
from edge_profiles.faults import faults_of
from edge_profiles.fields import rows
from edge_profiles.profile import Profile
from edge_profiles.template import example, template

PI = "rpi4-litert"
MICRO = "cortex-m4-stm32l4r5"
NPU = "ethos-u65-256"
QNN = "hexagon-qnn"
A_SOURCE = "Every figure names its datasheet, or says it is a choice or assumed, and why."
HALF = 'memory = { value = 536870912, unit = "byte", source = "a choice: half of the RAM" }'
LATENCY = 'latency = { value = 200, unit = "ms", source = "a choice: five answers a second" }'

FAULTS: dict[str, tuple[str, str, str, str, str]] = {
    "wrong unit": (PI, 'unit = "ms"', 'unit = "s"', "`budgets.latency.unit` is 's': should be 'ms'", "mean 'ms'?"),
    "no source": (
        PI,
        ', source = "a choice: five answers a second"',
        "",
        "`budgets.latency.source` is missing",
        A_SOURCE,
    ),
    "a source that says nothing": (
        PI,
        '"a choice: five answers a second"',
        '"TODO"',
        "`budgets.latency.source` is 'TODO': names no document and gives no reason",
        A_SOURCE,
    ),
    "an empty source": (
        PI,
        '"a choice: five answers a second"',
        '" "',
        "`budgets.latency.source` is ' ': is empty",
        A_SOURCE,
    ),
    "a choice without a reason": (
        PI,
        '"a choice: five answers a second"',
        '"a choice"',
        "`budgets.latency.source` is 'a choice': names no document and gives no reason",
        A_SOURCE,
    ),
    "misspelt key": (
        PI,
        'title = "',
        'titel = "',
        "`titel` is not a key of the format",
        "Did you mean `title`? Allowed",
    ),
    "unknown key": (
        PI,
        "threads = 2",
        "colour = 2",
        "`colour` is not a key of the format",
        "Allowed here: name, title, ",
    ),
    "unknown key in a table": (
        PI,
        "ram =",
        "random =",
        "`memory.random` is not a key of the format",
        "Did you mean `ram`? Allowed here: ram, flash, arena.",
    ),
    "missing key": (
        PI,
        'architecture = "aarch64"',
        "",
        "`architecture` is missing",
        'Add it, as in: architecture = "aarch64"',
    ),
    "unknown engine": (
        PI,
        '"litert"\naccel',
        '"tflite"\naccel',
        "`engine` is 'tflite': should be 'onnxruntime', 'litert', 'tflite-micro' or 'vela'",
        "Did you mean 'tflite-mi",
    ),
    "unknown scheme": (
        PI,
        '"dynamic"',
        '"int4"',
        "`schemes` has 'int4': should be 'fp32', 'fp16', ",
        "Did you mean 'int8'?",
    ),
    "no scheme": (PI, '["int8", "dynamic", "fp16", "fp32"]', "[]", "`schemes`: names nothing", "as in: schemes = ["),
    "a scheme twice": (PI, '"dynamic"', '"int8"', "`schemes` names int8 more than once", "Name each once."),
    "scheme of another engine": (
        PI,
        '"int8"',
        '"qdq-u8s8"',
        "scheme qdq-u8s8 does not run here; allowed: fp32, fp16, dynamic, int8",
        "Those are what litert on cpu runs",
    ),
    "accelerator of another engine": (
        PI,
        'accelerator = "cpu"',
        'accelerator = "cuda"',
        "engine litert has no accelerator cuda",
        "It has cpu, gpu, edge-tpu; cuda belongs to onnxruntime.",
    ),
    "wrong class": (
        PI,
        'class = "cpu"',
        'class = "gpu"',
        "`class` is gpu, but accelerator cpu is of the class cpu",
        'Write class = "cpu"',
    ),
    "fallback of another engine": (
        PI,
        "threads = 2",
        'fallback = "ethos-u"',
        "fallback ethos-u is not an accelerator of litert",
        "Allowed are: cpu, gpu, edge-tpu.",
    ),
    "fallback to itself": (PI, "threads = 2", 'fallback = "cpu"', "fallback cpu is the accelerator itself", "Leave"),
    "fallback that does not run a scheme": (
        QNN,
        "threads = 1",
        'fallback = "cpu"',
        "fallback cpu does not run scheme qdq-u16s8",
        "There run fp32, fp16, qdq-u8s8, qdq-s8s8",
    ),
    "bad name": (
        PI,
        'name = "rpi4-litert"',
        'name = "RPi 4"',
        "`name` is 'RPi 4': may hold a-z, 0-9, - and _",
        "my-board",
    ),
    "number in quotes": (
        PI,
        "threads = 2",
        'threads = "2"',
        "`threads` is '2': should be a whole number, without quotes",
        "Correct it, as in: threads = 2",
    ),
    "truth for a number": (
        PI,
        "value = 200,",
        "value = true,",
        "`budgets.latency.value` is True: should be a number",
        LATENCY,
    ),
    "negative figure": (
        PI,
        "value = 200,",
        "value = -200,",
        "`budgets.latency.value` is -200: should be greater",
        LATENCY,
    ),
    "no number": (
        PI,
        "value = 200,",
        "value = nan,",
        "`budgets.latency.value` is nan: should be a finite number",
        LATENCY,
    ),
    "part of a byte": (
        PI,
        "value = 536870912,",
        "value = 0.5,",
        "`budgets.memory`: is a number of bytes and must be",
        HALF,
    ),
    "figure without its table": (
        PI,
        LATENCY,
        "latency = 200",
        "`budgets.latency` is 200: a figure is { value = ..., unit = ..., source = ... }",
        LATENCY,
    ),
    "share over one": (
        PI,
        "threads = 2",
        "coverage_floor = 1.5",
        "`coverage_floor` is 1.5: should be less",
        "as in: cover",
    ),
    "more than there is": (
        PI,
        "value = 536870912,",
        "value = 2147483648,",
        "budgets.memory is 2147483648 bytes, more than memory.ram with 1073741824",
        "1 KiB is 1024 bytes",
    ),
    "arena of another engine": (
        PI,
        "[budgets]",
        'arena = { value = 1024, unit = "byte", source = "a choice: one" }\n[budgets]',
        "memory.arena is for TFLite Micro; engine litert plans its memory itself",
        "Leave it out",
    ),
    "misspelt operator": (
        MICRO,
        '"CONV_2D"',
        '"CONV2D"',
        "`operators.allow` has 'CONV2D', which is not an operator of TFLite",
        "Did you mean 'CONV_2D'?",
    ),
    "an operator twice": (MICRO, '"ADD"', '"SUB"', "`operators.allow` names SUB more than once", "Name each once."),
    "misspelt system": (
        NPU,
        "Ethos_U65_High_End",
        "Ethos_U65_HighEnd",
        "`vela.system_config` is 'Ethos_U65_HighEnd': should be",
        "Did you mean 'Ethos_U65_High_End'?",
    ),
    "system of another NPU": (
        NPU,
        "Ethos_U65_High_End",
        "Ethos_U55_High_End_Embedded",
        "vela.system_config Ethos_U55_High_End_Embedded does not describe ethos-u65-256",
        "a system for ethos-u65.",
    ),
    "operators for ONNX": (
        QNN,
        "[budgets]",
        '[operators]\nallow = ["ADD"]\nsource = "mine"\n[budgets]',
        "[operators] names operators of TFLite, but engine onnxruntime reads ONNX",
        "Leave the table out",
    ),
}
"""A board, what of its file is replaced by what, the sentence's beginning, a part of the hint."""


def broken(folder: Path, board: str, old: str, new: str) -> Path:
    path, text = folder / "mine.toml", (FOLDER / f"{board}.toml").read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize(("board", "old", "new", "sentence", "hint"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_one_sentence_with_what_to_do(
    tmp_path: Path, board: str, old: str, new: str, sentence: str, hint: str
):
    path = broken(tmp_path, board, old, new)

    found = read_file(path)

    assert isinstance(found, tuple)
    (fault,) = found
    assert in_file(path, fault).startswith(f"{path}: {sentence}")
    assert hint in fault.hint
    assert "\n" not in fault.problem + fault.hint
    with pytest.raises(InvalidProfile) as refusal:
        load_file(path)
    assert (str(refusal.value), refusal.value.hint) == (in_file(path, fault), fault.hint)


WHOLE_FILES: dict[str, tuple[bytes, str]] = {
    "not TOML": (b"[budgets\nlatency = 1\n", "is not TOML: Expected ']' at the end of a table declaration (at line 1"),
    "not text": (b"name = '\xff'", "is not TOML: 'utf-8' codec can't decode"),
    "a key twice": (b"name = 'a'\nname = 'b'\n", "is not TOML: Cannot overwrite a value (at line 2"),
    "too large": (b"#" * 300_000, "has 300000 bytes, at most 262144 are a profile"),
}


@pytest.mark.parametrize(("content", "sentence"), WHOLE_FILES.values(), ids=WHOLE_FILES.keys())
def test_a_file_that_is_none_is_told_by_its_place(tmp_path: Path, content: bytes, sentence: str):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)

    with pytest.raises(InvalidProfile) as refusal:
        load_file(path)

    assert str(refusal.value).startswith(f"{path} {sentence}")
    assert refusal.value.hint


def test_all_faults_are_told_at_once_and_a_misspelt_key_is_not_also_missing(tmp_path: Path):
    path = broken(tmp_path, PI, 'title = "', 'titel = "')
    path.write_text(path.read_text().replace("threads = 2", "threads = 0").replace('unit = "ms"', 'unit = "s"'))

    found = read_file(path)

    assert isinstance(found, tuple)
    assert [fault.key for fault in found] == ["titel", "threads", "budgets.latency.unit"]
    with pytest.raises(InvalidProfile, match=r"`titel` is not a key of the format \(and 2 more: `edge-sdk"):
        load_file(path)


def test_all_that_does_not_fit_together_is_told_at_once(tmp_path: Path):
    path = broken(tmp_path, MICRO, 'class = "mcu"', 'class = "cpu"')
    lines = [line for line in path.read_text().splitlines() if not line.startswith("arena")]
    path.write_text("\n".join(lines).replace("value = 1048576", "value = 10485760"))

    found = read_file(path)

    assert isinstance(found, tuple)
    assert [fault.key for fault in found] == ["class", "memory.arena", "budgets.size"]


def test_an_empty_file_lacks_every_needed_field(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text("")

    found = read_file(path)

    assert isinstance(found, tuple)
    assert [fault.key for fault in found] == [row.key for row in rows() if row.needed == "yes" and "." not in row.key]


def test_an_operator_of_ones_own_firmware_may_be_allowed(tmp_path: Path):
    path = broken(tmp_path, MICRO, '"ADD",', '"ADD", "TFLite_Detection_PostProcess", "wake_word",')

    assert "wake_word" in load_file(path).operators.allow


def test_the_template_is_valid_and_shows_every_field(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text(template())

    assert load_file(path).name == "my-board"
    assert load_file(path).name not in {profile.name for profile in shipped()}
    assert not [row.key for row in rows() if example(row.key) is None]


def test_every_line_that_the_template_shows_is_of_its_key():
    """Also those commented out: each is TOML, with a value of the kind that the field holds."""
    for row in rows():
        line = example(row.key)
        assert line is not None
        key = row.key.rpartition(".")[2]
        assert line == f"[{row.key}]" if row.kind == "table" else key in tomllib.loads(line)


ANYTHING = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=5), max_size=2)
KEYS = st.sampled_from([row.key for row in rows() if "." not in row.key])


@given(st.dictionaries(KEYS, ANYTHING | st.dictionaries(st.text(max_size=5), ANYTHING, max_size=2), max_size=4))
def test_whatever_the_fields_hold_there_is_a_sentence_and_never_a_traceback(fields: dict[str, object]):
    with pytest.raises(ValidationError) as refusal:
        Profile.model_validate(fields)

    found = faults_of(refusal.value)
    assert found
    assert all(fault.key and fault.problem and fault.hint for fault in found)
