"""Whatever came of a conversion, its page is whole, and shows strangers' words as words."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from edge_contracts.manifest import Figure
from edge_converters.gains import Gain, Lesser, Taken
from edge_converters.guard import Confusion, Guard, Judgement, SliceJudgement, Verdict
from edge_converters.layers import LayerError
from edge_converters.making import PassStep
from edge_converters.page.rendering import render
from edge_converters.recipes import Recipe
from edge_converters.reports import Candidate, Conversion, ProfileReport
from edge_converters.robustness.findings import Robustness
from edge_converters.search.findings import Costs, Found, Trial
from edge_converters.timings import Latency
from edge_converters.training import Lesson
from edge_profiles.schemes import Scheme
from tests.support.pages import Page

EVIL = "<script>alert('class')</script> & \"more\""


def judgement(classes: int = 3, **changes: Any) -> Judgement:
    names = tuple(f"{place} {EVIL}" for place in range(classes))
    before = tuple(tuple(5 * (row == column) for column in range(classes)) for row in range(classes))
    slices = (SliceJudgement(names[0], 5, 1.0, 0.8, 0.2, 0.6, Verdict.UNDECIDABLE),)
    after = (before[1], *before[1:])
    given = {"slices": slices, "confusion": Confusion(names, before, after), **changes}
    return Judgement(Verdict.PASS, 0.9, 0.85, 0.05, 0.09, 15, **given)


def conversion(*candidates: Candidate, error: bool = False, **changes: Any) -> Conversion:
    taken = candidates[-1].name if candidates[-1].judgement else None
    report = ProfileReport("my-board", Verdict.FAIL, None, taken, candidates, f"Do {EVIL}.", **changes)
    samples = {"calibration": 5, "ranking": 6, "decision": 15}
    return Conversion(
        Verdict.FAIL,
        None,
        (report,),
        f"metric {EVIL}",
        Guard(),
        EVIL,
        {},
        samples,
        "here",
        error=error,
        remarks=(EVIL,),
    )


BROKEN = Candidate("int8", Verdict.FAIL, f"it broke: {EVIL}", "Mend it.")
JUDGED = Candidate("int8", Verdict.PASS, "drop +5.00 points", judgement=judgement(), ranking_drop=0.0, size_bytes=900)
BEST = {"value": 1.0, "unit": "share", "kind": "measured", "source": EVIL}
LATENCY = Latency(0.01, 0.02, 0.03, 0.001, 9, (0,) * 63 + (9,))
OUTCOMES = {
    "nothing could be made": conversion(BROKEN),
    "judged": conversion(BROKEN, JUDGED, float_bytes=1000),
    "nothing lost, nothing moved": conversion(
        Candidate("fp32", Verdict.PASS, "", judgement=Judgement(Verdict.PASS, 1.0, 1.0, 0.0, 0.0, 15), ranking_drop=0.0)
    ),
    "an error": conversion(JUDGED, error=True),
    "very many classes": conversion(Candidate("int8", Verdict.PASS, "", judgement=judgement(60))),
    "layers, figures and slow inferences": conversion(
        JUDGED,
        layers=(LayerError(EVIL, "CONV_2D", None), LayerError("b", "ADD", 0.0)),
        figures={"coverage": Figure(**BEST)},
        latency=LATENCY,
        float_latency=LATENCY,
    ),
    "robustness that could not be checked": conversion(
        JUDGED, robustness=Robustness("input", 0, 0.0, 0.0, left_out=(EVIL,))
    ),
    "weights taken away in vain": conversion(
        JUDGED,
        gain=Gain((EVIL,), Taken(0.4, 0.3), None, Verdict.UNREACHABLE, 0.03, 0.0, (Lesser(0.1, 0.02),)),
        steps=(PassStep("source", 90, 0, 12, 3, 900), PassStep("prune-channels", 60, 0, 8, 3, 540)),
    ),
    "layers without any error": conversion(JUDGED, layers=(LayerError("a", "CONV_2D", None),)),
}


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES.keys())
def test_a_page_is_whole_and_shows_words_as_words(outcome: Conversion):
    text = render(outcome).decode()
    page = Page()
    page.feed(text)

    assert page.faults == page.open == page.fetched == []
    assert "<script" not in text
    assert page.words.count(EVIL) >= 3
    assert re.findall(r"\bnan\b", text) == []
    assert "Do <script>" in page.words


def test_a_table_of_confusions_that_nobody_reads_becomes_a_list_of_changes():
    page = Page()
    page.feed(render(OUTCOMES["very many classes"]).decode())

    assert not any(len(row) > 20 for row in page.rows)
    assert f"0 {EVIL} told as 0 {EVIL} 5 → 0" in page.words


def test_a_search_shows_its_front_and_what_was_taken():
    recipes = [Recipe(scheme) for scheme in (Scheme.FP32, Scheme.INT8, Scheme.DYNAMIC, Scheme.FP16)]
    costs = [Costs(0.0, 0.0, 4.0, 4096), Costs(0.005, 0.1, 1.0, 1024), Costs(0.02, 0.2, 2.0, 2048), None]
    trials = tuple(Trial(recipe, each, EVIL) for recipe, each in zip(recipes, costs, strict=True))
    found = Found("tpe", EVIL, 9, "ms", trials, (0, 1), 1)
    page = Page()
    page.feed(render(conversion(JUDGED, search=found)).decode())

    assert page.row("fp32", "+0.00") == ["fp32", "+0.00", "4", "4.0 KiB"]
    assert page.row("int8 (taken)") == ["int8 (taken)", "+0.50", "1", "1.0 KiB"]
    assert f"9 proposed by tpe, 4 different recipes tried; study {EVIL}." in page.words
    assert page.faults == page.open == []


def test_training_is_told_step_by_step():
    lessons = (
        Lesson("distil=0.5", {}, EVIL, 135, 0.98, 0.1, 0.96, 20, 15, 1000, 0),
        Lesson("prune=0.8", {}, EVIL, 135, 0.96, 0.7, 0.95, 20, 0, 1000, 800),
    )
    page = Page()
    page.feed(render(replace(conversion(JUDGED), lessons=lessons)).decode())

    assert page.row("distil=0.5")[2:] == ["98.00%", "10.00%", "96.00%", "135", "15 of 20", "1,000", "0.0%"]
    assert page.row("prune=0.8")[2:] == ["96.00%", "70.00%", "95.00%", "135", "0 of 20", "1,000", "80.0%"]
    assert page.faults == page.open == []


def test_what_weights_taken_away_brought_is_told_in_words():
    gain = Gain(("prune-channels (share 0.4)",), Taken(0.4, 0.3), None, Verdict.FAIL, 0.03, 0.0, (Lesser(0.2, 0.01),))
    page = Page()
    page.feed(render(conversion(JUDGED, gain=gain)).decode())

    assert "Taken away by prune-channels (share 0.4): 40.0% of the multiplications" in page.words
    assert "no speed-up is to be had at equal guard" in page.words
    assert "Ask for 0.2" in page.words


def test_what_was_measured_and_what_was_estimated_is_told_apart():
    figures = {
        "latency": Figure(value=0.5, unit="ms", kind="estimated", source="Vela"),
        "arena": Figure(value=2048, unit="byte", kind="measured", source="TFLite Micro", n=32),
    }
    page = Page()
    page.feed(render(conversion(JUDGED, figures=figures)).decode())

    row = page.row("my-board", "int8")
    assert row[5] == "0.5 ms estimated"
    assert row[6] == "Vela"
    assert row[7] == "2.0 KiB arena measured"
    assert page.row("arenameasured: TFLite Micro, n = 32")[1] == "2.0 KiB"
