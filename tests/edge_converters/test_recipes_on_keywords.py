"""Recipes on the keyword model: zeros are held, layers stay float where that keeps the accuracy, a search ends well."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edge_converters.calls import call
from edge_converters.drafts import Workshop, make_draft
from edge_converters.errors import CheckFailed, NotConvertible
from edge_converters.gains import sentences
from edge_converters.guard import Guard, Verdict
from edge_converters.ladder import Climb
from edge_converters.making import edit
from edge_converters.mixed_precision import mix
from edge_converters.recipes import Recipe
from edge_converters.search import space
from edge_converters.search.findings import Found
from edge_converters.search.plans import Sampler, SearchPlan
from edge_converters.variants import make_variant
from edge_converters.weights import check_weights, check_zeros
from edge_profiles.boards import load
from edge_profiles.schemes import Scheme

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CASES = {"rpi4-litert": Scheme.INT8, "x86-64-vnni": Scheme.QDQ_U8S8}


@pytest.mark.parametrize(("board", "scheme"), CASES.items(), ids=CASES.keys())
def test_weights_that_were_pruned_are_zero_in_the_integer_file_too(keyword_shop: Workshop, board: str, scheme: Scheme):
    recipe = Recipe(scheme, (call("prune", {"sparsity": 0.5}),))

    draft = make_draft(load(board), recipe, keyword_shop)

    pruned = draft.steps[-1]
    assert pruned.zeros / pruned.weights == pytest.approx(0.5, abs=0.001)
    assert draft.file.zeros >= pruned.zeros
    with pytest.raises(CheckFailed, match="pruning made"):
        check_zeros(draft.file, draft.file.zeros + 1)


@pytest.mark.parametrize(("board", "scheme"), CASES.items(), ids=CASES.keys())
def test_layers_that_are_to_stay_float_do_and_no_others(keyword_shop: Workshop, board: str, scheme: Scheme):
    profile = load(board)
    impatient = replace(keyword_shop, guard=Guard(max_drop=-1.0))  # never reached: the least loss is told

    recipe = mix(profile, Recipe(scheme), impatient)
    draft = make_draft(profile, recipe, keyword_shop)

    assert 0 < len(recipe.keep) <= 5
    assert [layer.name for layer in draft.kept] == list(recipe.keep)
    assert sorted(draft.file.weights["FP32"]) == sorted(layer.weights for layer in draft.kept)
    with pytest.raises(CheckFailed, match="FP32"):
        check_weights(draft.file, scheme)
    with pytest.raises(NotConvertible, match="no layer with weights of the name 'konv'"):
        make_draft(profile, replace(recipe, keep=("konv",)), keyword_shop)


def test_what_cannot_be_pruned_so_much_is_refused_in_a_sentence_once(keyword_shop: Workshop):
    climb = Climb(first=(call("prune-channels", {"share": 0.99}),))

    report = make_variant(load("cortex-m4-stm32l4r5"), replace(keyword_shop, climb=climb)).report

    assert report.verdict is Verdict.FAIL
    (said,) = {each.sentence for each in report.candidates}
    assert said.startswith("prune-channels (share 0.99) is not possible for this model: channels that can be removed")


def test_another_share_of_channels_takes_up_what_the_first_found_out(keyword_shop: Workshop, tmp_path: Path):
    material, worker = keyword_shop.floats.material, keyword_shop.worker
    model = shutil.copy(keyword_shop.floats.canonical["tflite"], tmp_path / "model.tflite")
    edit(model, "tflite", [call("prune-channels", {"share": 0.1})], material, worker)
    (notes,) = tmp_path.glob("*.prune-channels.json")
    found_at = notes.stat().st_mtime_ns

    second = edit(model, "tflite", [call("prune-channels", {"share": 0.3})], material, worker)

    assert notes.stat().st_mtime_ns == found_at
    assert second.steps[-1].multiplications <= 0.7 * second.steps[0].multiplications
    before = second.path.read_bytes()
    for path in (second.path, notes):
        path.unlink()
    assert edit(model, "tflite", [call("prune-channels", {"share": 0.3})], material, worker).path == second.path
    assert second.path.read_bytes() == before


def test_who_asks_for_too_few_channels_learns_what_it_cost_and_what_would_do(keyword_shop: Workshop):
    own = (Recipe(Scheme.INT8, (call("prune-channels", {"share": 0.7}),)),)

    report = make_variant(load("rpi4-litert"), replace(keyword_shop, climb=Climb(own=own))).report

    assert report.verdict is not Verdict.PASS
    gain = report.gain
    assert gain is not None
    assert gain.taken.multiplications >= 0.7
    assert gain.whole_drop is not None
    assert gain.whole_drop < gain.drop
    assert [each.share for each in gain.lesser] == [0.525, 0.35, 0.175][: len(gain.lesser)]
    assert all(each.drop is not None and each.drop > keyword_shop.guard.max_drop for each in gain.lesser[:-1])
    said = " ".join(sentences(gain, keyword_shop.guard.max_drop))
    assert "no speed-up is to be had at equal guard" in said
    assert ("Ask for" in said) == ((gain.lesser[-1].drop or 0) <= keyword_shop.guard.max_drop)


def test_own_recipes_are_tried_in_their_order_and_nothing_else(keyword_shop: Workshop):
    own = (Recipe(Scheme.INT8, (call("factorise", {"energy": 0.3}),)), Recipe(Scheme.FP16))

    report = make_variant(load("rpi4-litert"), replace(keyword_shop, climb=Climb(own=own))).report

    assert [each.recipe for each in report.candidates] == list(own)
    assert report.recipe == own[1]


def searched(shop: Workshop, trials: int, sampler: Sampler) -> Found:
    climb = Climb(search=SearchPlan(trials, sampler=sampler))
    report = make_variant(load("cortex-m4-stm32l4r5"), replace(shop, climb=climb)).report
    assert report.search is not None
    assert report.verdict is Verdict.PASS
    assert report.recipe == report.search.recipe
    return report.search


def test_a_search_takes_a_recipe_of_its_front_that_keeps_the_accuracy(
    keyword_shop: Workshop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(space, "CHANNELS", (0.0,))  # to take channels away takes longest
    found = searched(keyword_shop, 4, Sampler.RANDOM)

    recipes = [trial.recipe for trial in found.trials]
    assert recipes[0] == Recipe(Scheme.INT8)  # as it is, before anything else
    assert len(set(recipes)) == len(recipes) <= found.proposals == 4
    assert found.taken in found.front
    taken = found.trials[found.taken].costs
    assert taken is not None
    assert taken.drop <= keyword_shop.guard.max_drop
    assert "multiplications" in found.time_unit
    assert searched(keyword_shop, 4, Sampler.RANDOM) == found
