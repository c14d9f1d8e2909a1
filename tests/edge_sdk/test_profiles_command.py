"""`edge-sdk profiles` as a person at a terminal and a script see it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_profiles.boards import FOLDER, shipped

COMMAND = (sys.executable, "-c", "from edge_sdk.cli import main; main()", "profiles")


def profiles(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One good file, one with three faults, one that is no TOML."""
    text = (FOLDER / "rpi5-ort.toml").read_text()
    (tmp_path / "good.toml").write_text(text.replace('name = "rpi5-ort"', 'name = "my-pi"'))
    faulty = text.replace("threads = 2", "thread = 2").replace("onnxruntime", "onnx-runtime", 1)
    (tmp_path / "faulty.toml").write_text(faulty.replace('unit = "ms"', 'unit = "milliseconds"'))
    (tmp_path / "broken.toml").write_text("name = 'x'\n[memory\n")
    return tmp_path


def test_every_fault_of_every_file_is_told_with_what_to_do(folder: Path):
    done = profiles("validate", "faulty.toml", "good.toml", "broken.toml", folder=folder)

    assert done.returncode == 3
    assert done.stdout == "good.toml is a valid profile: my-pi\n"
    said = done.stderr.splitlines()
    assert said[0] == "edge-sdk: faulty.toml: `thread` is not a key of the format"
    assert said[1].startswith("  Did you mean `threads`? Allowed here: name, title, class, ")
    assert said[2].startswith("edge-sdk: faulty.toml: `engine` is 'onnx-runtime': should be 'onnxruntime', ")
    assert said[3] == "  Did you mean 'onnxruntime'?"
    assert said[4] == "edge-sdk: faulty.toml: `budgets.latency.unit` is 'milliseconds': should be 'ms'"
    assert said[5].startswith("  Correct it, as in: latency = { value = 200, ")
    assert said[6].startswith("edge-sdk: broken.toml is not TOML: ")
    assert len(said) == 8


def test_a_script_gets_the_same_as_json(folder: Path):
    done = profiles("validate", "faulty.toml", "good.toml", "broken.toml", "--json", folder=folder)

    faulty, good, broken = json.loads(done.stdout)
    assert done.returncode == 3
    assert (faulty["file"], faulty["valid"], faulty["profile"]) == ("faulty.toml", False, None)
    assert [fault["key"] for fault in faulty["faults"]] == ["thread", "engine", "budgets.latency.unit"]
    assert all(set(fault) == {"key", "problem", "hint"} for fault in faulty["faults"])
    assert (good["valid"], good["profile"]["name"], good["faults"]) == (True, "my-pi", [])
    assert [fault["key"] for fault in broken["faults"]] == [""]


def test_good_files_end_well(folder: Path):
    done = profiles("validate", "good.toml", folder=folder)

    assert (done.returncode, done.stdout, done.stderr) == (0, "good.toml is a valid profile: my-pi\n", "")


def test_the_template_is_a_profile_as_it_is_printed(folder: Path):
    printed = profiles("template", folder=folder)
    (folder / "mine.toml").write_text(printed.stdout)

    checked = profiles("validate", "mine.toml", folder=folder)

    assert json.loads(profiles("template", "--json", folder=folder).stdout) == {"template": printed.stdout}
    assert printed.returncode == checked.returncode == 0
    assert checked.stdout == "mine.toml is a valid profile: my-board\n"
    assert "edge-sdk profiles validate" in printed.stderr


def test_all_boards_are_listed_and_each_can_be_shown(folder: Path):
    listed = json.loads(profiles("list", "--json", folder=folder).stdout)
    shown = json.loads(profiles("show", "esp32-s3", "--json", folder=folder).stdout)

    assert [profile["name"] for profile in listed] == [profile.name for profile in shipped()]
    assert shown in listed
    assert "esp-tflite-micro" in shown["operators"]["source"]
