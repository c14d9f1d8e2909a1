"""The demo's own parts: the story it tells, and the ways a model is spoilt. The demo as a whole is `make demo`."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from edge_contracts.manifest import Tolerance
from edge_converters.bundles import read_bundle
from edge_sdk.demo.narration import Narrator, expect
from edge_sdk.demo.training import run_program
from edge_sdk.demo.waiting import wait_for
from edge_sdk.errors import ChildFailed, NotAchieved
from tests.support.bundles import good_bundle


def narrator() -> tuple[Narrator, io.StringIO]:
    screen = io.StringIO()
    return Narrator(Console(file=screen, width=120), ("First", "Second", "Third")), screen


def test_the_summary_tells_what_happened_what_did_not_and_what_was_not_reached() -> None:
    story, screen = narrator()
    with story.step(1, "because") as step:
        step.seen = "it was seen"
    with pytest.raises(NotAchieved), story.step(2, "because"):
        expect(False, "it was not")

    story.summarise()

    assert not story.complete
    rows = [line for line in screen.getvalue().splitlines() if line.startswith("│")]
    assert [next(mark for mark in "✓✗-" if mark in row) for row in rows[1:]] == ["✓", "✗", "-"]
    assert "it was seen" in rows[1]


def test_a_story_is_complete_when_every_step_happened() -> None:
    story, _ = narrator()
    for number in (1, 2, 3):
        with story.step(number, "because"):
            pass

    assert story.complete


def test_waiting_ends_with_what_was_not_seen() -> None:
    assert wait_for("a thing", 1, lambda: "seen") == "seen"
    with pytest.raises(NotAchieved, match="a thing was not seen"):
        wait_for("a thing", 0, lambda: None)


def test_a_program_that_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(ChildFailed, match=r"No module named edge_sdk\.nothing"):
        run_program("edge_sdk.nothing", [], 60)


@pytest.mark.parametrize(
    ("fault", "tolerance"), [("shuffled", None), ("constant", Tolerance(absolute=1e9, top1_agreement=0))]
)
def test_a_spoilt_bundle_is_honest_in_every_digest(tmp_path: Path, fault: str, tolerance: Tolerance | None) -> None:
    good = good_bundle(tmp_path, 1)

    command = [sys.executable, "-m", "edge_sdk.demo.weights", str(good), str(tmp_path / "bad"), "2", fault]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    before, after = read_bundle(good), read_bundle(tmp_path / "bad")
    assert json.loads(done.stdout) == {"spoilt": 3}
    assert after.manifest.version == 2
    for one, other in zip(before.manifest.variants, after.manifest.variants, strict=True):
        assert (one.inputs, one.outputs, one.golden, one.needs) == (
            other.inputs,
            other.outputs,
            other.golden,
            other.needs,
        )
        assert one.model.digest != other.model.digest
        assert other.tolerance == (tolerance or one.tolerance)
