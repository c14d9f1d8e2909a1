"""The judgements on a self-test and on live traffic, row by row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_agent.core.health import (
    Keep,
    ProbationLimits,
    RollBack,
    describe_selftest,
    judge_selftest,
    probation_limits,
    verdict,
)
from edge_agent.ports import SelfTest, ServingHealth
from edge_contracts.manifest import Accelerator, Baseline, Engine, EngineNeeds, Limits
from edge_contracts.reasons import Reason
from tests.support.releases import release, variant

GOOD = SelfTest(
    worst_excess=-0.01,
    max_abs_error=0.002,
    top1_agreement=1.0,
    finite=True,
    latency_p50_ms=1.0,
    latency_p99_ms=2.0,
    rss_bytes=50_000_000,
    accelerator="gpu",
    fallback=False,
    coverage=1.0,
    load_ms=100.0,
)
NEEDS = EngineNeeds(engine=Engine.LITERT, accelerator=Accelerator.GPU, fallback=Accelerator.CPU, coverage_floor=0.9)
STRICT, _ = variant("gpu", needs=NEEDS, limits=Limits(latency_p99_ms=5.0, memory_bytes=100_000_000))

HEALTHY = ServingHealth(
    requests=1000, errors=0, crashes=0, hangs=0, non_finite=0, distinct_answers=2, p99_ms=2.0, distinct_inputs=2
)
LIMITS = ProbationLimits(latency_p99_ms=5.0, expects_several_answers=True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"worst_excess": 1e-6}, Reason.SELFTEST_OUTPUTS),
        ({"worst_excess": float("nan")}, Reason.SELFTEST_OUTPUTS),
        ({"top1_agreement": 0.99}, Reason.SELFTEST_OUTPUTS),
        ({"finite": False}, Reason.SELFTEST_OUTPUTS),
        ({"latency_p99_ms": 5.1}, Reason.SELFTEST_LATENCY),
        ({"rss_bytes": 100_000_001}, Reason.SELFTEST_MEMORY),
        ({"coverage": 0.89}, Reason.SELFTEST_COVERAGE),
        ({"coverage": None}, Reason.SELFTEST_COVERAGE),
        ({"coverage": None, "fallback": True}, None),
        ({"finite": False, "latency_p99_ms": 99.0}, Reason.SELFTEST_OUTPUTS),
    ],
)
def test_a_selftest_is_judged_by_the_signed_contract(change: dict[str, object], reason: Reason | None) -> None:
    assert judge_selftest(replace(GOOD, **change), STRICT) is reason  # type: ignore[arg-type]


def test_a_release_without_limits_is_judged_by_its_answers_alone() -> None:
    loose, _ = variant("cpu-ort")
    assert judge_selftest(replace(GOOD, latency_p99_ms=1e6, rss_bytes=2**40, coverage=None), loose) is None


def test_the_figures_of_a_selftest_fit_in_a_line() -> None:
    line = describe_selftest(replace(GOOD, fallback=True))
    assert "\n" not in line
    assert "(fallback)" in line
    assert "p99 2.00 ms" in line


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"crashes": 1}, None),
        ({"crashes": 2}, Reason.PROBATION_CRASHES),
        ({"hangs": 1}, Reason.PROBATION_HANG),
        ({"non_finite": 1}, Reason.PROBATION_OUTPUTS),
        ({"distinct_answers": 1}, Reason.PROBATION_OUTPUTS),
        ({"distinct_answers": 1, "requests": 49}, None),
        ({"distinct_answers": 1, "distinct_inputs": 1}, None),
        ({"errors": 52}, None),
        ({"errors": 53}, Reason.PROBATION_ERRORS),
        ({"errors": 10, "requests": 9}, None),
        ({"errors": 20, "requests": 0, "p99_ms": None, "distinct_answers": 0}, Reason.PROBATION_ERRORS),
        ({"p99_ms": 5.1}, Reason.PROBATION_LATENCY),
        ({"p99_ms": 5.1, "requests": 19}, None),
        ({"p99_ms": None, "requests": 0, "distinct_answers": 0}, None),
    ],
)
def test_live_traffic_is_judged_by_what_is_no_chance(change: dict[str, object], reason: Reason | None) -> None:
    judged = verdict(replace(HEALTHY, **change), LIMITS, elapsed=60.0)  # type: ignore[arg-type]

    assert (judged.reason if isinstance(judged, RollBack) else None) is reason
    assert isinstance(judged, Keep) or judged.detail


def test_the_first_second_may_be_slow() -> None:
    assert verdict(replace(HEALTHY, p99_ms=50.0), LIMITS, elapsed=0.5) == Keep()


def test_a_constant_answer_is_right_where_the_reference_data_has_one_likely_class() -> None:
    made = release("cpu-ort")
    mostly_silence = Baseline(n=100, classes=(95, 5))
    constant = replace(HEALTHY, distinct_answers=1)

    quiet = probation_limits(made.manifest.model_copy(update={"baseline": mostly_silence}), made.variant)
    lively = probation_limits(made.manifest, made.variant)

    assert verdict(constant, quiet, 60.0) == Keep()
    assert isinstance(verdict(constant, lively, 60.0), RollBack)
