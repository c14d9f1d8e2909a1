"""A trained keyword spotter converts for every shipped board, and each report says of its target what was done."""

from __future__ import annotations

import pytest

from edge_contracts.manifest import Engine, Variant
from edge_converters.bundles import read_bundle
from edge_converters.datasets import Data
from edge_converters.guard import Verdict
from edge_converters.reports import ProfileReport
from edge_profiles.boards import load, shipped
from tests.edge_converters.conftest import EVERY_PROFILE, Shared, converted_to

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

OTHERS = [profile.name for profile in shipped() if profile.name not in EVERY_PROFILE]
"""The rest is converted for every other story."""
SMALL = "ethos-u55-128"
ABSENT = {"cuda", "tensorrt", "openvino-npu", "edge-tpu"}


@pytest.fixture(scope="module")
def made(
    shared: Shared, keyword_data: Data, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[ProfileReport, Variant]]:
    source, output = shared / "keyword_spotting/kws_ref_model", tmp_path_factory.mktemp("boards") / "bundle"
    outcome = converted_to(source, [load(name) for name in (*OTHERS, SMALL)], keyword_data, output)
    assert outcome.bundle is not None
    manifest = read_bundle(outcome.bundle).manifest
    return {report.profile: (report, *manifest.for_profile(report.profile)) for report in outcome.reports}


@pytest.mark.parametrize("name", OTHERS)
def test_a_board_gets_a_variant_that_passed_in_one_of_its_schemes(made, name: str):
    (report, variant), profile = made[name], load(name)

    assert report.verdict is Verdict.PASS
    assert variant.scheme in profile.schemes
    assert (variant.needs.engine, variant.needs.accelerator) == (profile.engine, profile.accelerator)
    assert variant.needs.fallback is profile.fallback
    assert variant.figures["size"].value < variant.figures["float_size"].value
    assert variant.limits.memory_bytes == (profile.budgets.memory and int(profile.budgets.memory.value))


@pytest.mark.parametrize("name", [name for name in OTHERS if load(name).accelerator in ABSENT])
def test_what_could_not_be_tried_here_is_not_said_to_have_been_measured(made, name: str):
    report, variant = made[name]
    if not report.target.startswith("not tried on "):
        pytest.skip(f"this machine has {variant.needs.accelerator}")

    assert not {"coverage", "partitions", "latency_p50"} & set(variant.figures)
    assert f"the profile allows {variant.needs.fallback}" in report.target


@pytest.mark.parametrize("name", [name for name in OTHERS if load(name).engine is Engine.TFLITE_MICRO])
def test_a_microcontroller_runs_it_in_tflite_micro_within_its_arena(made, name: str):
    report, variant = made[name]

    assert "runs in TFLite Micro" in report.target
    assert 20_000 < variant.figures["arena"].value < variant.needs.arena_bytes


def test_the_larger_ethos_takes_all_operators_and_is_estimated_faster_than_the_smaller(made):
    (_, large), (_, small) = made["ethos-u65-256"], made[SMALL]

    assert large.figures["coverage"].value == 1
    assert large.figures["latency"].kind == "estimated"
    assert "Ethos_U65_High_End" in large.figures["latency"].source
    assert large.figures["latency"].value < small.figures["latency"].value
