"""Whether a release may answer: the judgement of its self-test, and the verdict on its live traffic in probation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edge_agent.ports import SelfTest, ServingHealth
from edge_contracts.manifest import Baseline, Manifest, Variant
from edge_contracts.reasons import Reason


@dataclass(frozen=True)
class ProbationLimits:
    """What a release on probation may do at most.

    Times in milliseconds, rates 0..1. A rate, a quantile or a constant answer is judged only once `min_requests` (or
    `constant_after`) requests have been answered: before that it is chance.
    """

    crashes: int = 2
    hangs: int = 1
    error_rate: float = 0.05
    latency_p99_ms: float | None = None
    expects_several_answers: bool = False
    """The same answer to many different inputs is a fault, since the reference data gave different ones."""
    min_requests: int = 20
    constant_after: int = 50
    latency_after_s: float = 1.0
    """Seconds after activation in which latency is not judged: the caches are still cold."""


@dataclass(frozen=True)
class Keep:
    """Nothing speaks against the release so far."""


@dataclass(frozen=True)
class RollBack:
    """The release must go; `detail` holds the figures that say why."""

    reason: Reason
    detail: str


LIKELY_SHARE: Final = 0.1
"""A class with at least this share of the reference answers is one that live traffic is expected to show."""


def probation_limits(manifest: Manifest, variant: Variant) -> ProbationLimits:
    """The limits that the signed manifest sets, the rest by default."""
    return ProbationLimits(
        latency_p99_ms=variant.limits.latency_p99_ms,
        expects_several_answers=several_likely(manifest.baseline),
    )


def several_likely(baseline: Baseline) -> bool:
    """Whether the reference data made more than one class likely; unknown counts as no."""
    total = sum(baseline.classes)
    return sum(count >= LIKELY_SHARE * total for count in baseline.classes) > 1 if total else False


def judge_selftest(facts: SelfTest, variant: Variant) -> Reason | None:
    """Why the release must not be activated on this device; None if it may."""
    return next((reason for reason, fails in _SELFTEST.items() if fails(facts, variant)), None)


def describe_selftest(facts: SelfTest) -> str:
    """The figures of a self-test in one line, for a report."""
    coverage = "" if facts.coverage is None else f", coverage {facts.coverage:.0%}"
    return (
        f"golden error {facts.max_abs_error:.3g} ({facts.worst_excess:+.3g} against the tolerance), "
        f"top class agrees {facts.top1_agreement:.0%}, {'finite' if facts.finite else 'not finite'}, "
        f"p99 {facts.latency_p99_ms:.2f} ms, {facts.rss_bytes / 2**20:.0f} MiB, "
        f"on {facts.accelerator}{' (fallback)' if facts.fallback else ''}{coverage}"
    )


def verdict(health: ServingHealth, limits: ProbationLimits, elapsed: float) -> Keep | RollBack:
    """What live traffic says of a release activated `elapsed` seconds ago. Asked again and again during probation."""
    for reason, judge in _PROBATION.items():
        detail = judge(health, limits, elapsed)
        if detail:
            return RollBack(reason, detail)
    return Keep()


def _wrong_outputs(facts: SelfTest, variant: Variant) -> bool:
    agrees = facts.worst_excess <= 0 and facts.top1_agreement >= variant.tolerance.top1_agreement
    return not (facts.finite and agrees)


def _too_slow(facts: SelfTest, variant: Variant) -> bool:
    limit = variant.limits.latency_p99_ms
    return limit is not None and facts.latency_p99_ms > limit


def _too_big(facts: SelfTest, variant: Variant) -> bool:
    limit = variant.limits.memory_bytes
    return limit is not None and facts.rss_bytes > limit


def _not_covered(facts: SelfTest, variant: Variant) -> bool:
    # An allowed fallback runs nothing on the accelerator, and says so; the floor is for the accelerator itself.
    return not facts.fallback and (facts.coverage or 0.0) < variant.needs.coverage_floor


_SELFTEST: Final[dict[Reason, Callable[[SelfTest, Variant], bool]]] = {
    Reason.SELFTEST_OUTPUTS: _wrong_outputs,
    Reason.SELFTEST_COVERAGE: _not_covered,
    Reason.SELFTEST_MEMORY: _too_big,
    Reason.SELFTEST_LATENCY: _too_slow,
}
"""The judgements in the order of their weight: the first that fails is the reason."""


def _crashed(health: ServingHealth, limits: ProbationLimits, _elapsed: float) -> str:
    return f"{health.crashes} crashes" if health.crashes >= limits.crashes else ""


def _hung(health: ServingHealth, limits: ProbationLimits, _elapsed: float) -> str:
    return f"{health.hangs} requests without an answer" if health.hangs >= limits.hangs else ""


def _bad_outputs(health: ServingHealth, limits: ProbationLimits, _elapsed: float) -> str:
    if health.non_finite:
        return f"{health.non_finite} answers with NaN or infinity"
    constant = health.distinct_answers == 1 and health.distinct_inputs > 1
    if constant and limits.expects_several_answers and health.requests >= limits.constant_after:
        return f"the same answer to {health.requests} requests"
    return ""


def _failing(health: ServingHealth, limits: ProbationLimits, _elapsed: float) -> str:
    asked = health.requests + health.errors
    if asked >= limits.min_requests and health.errors > limits.error_rate * asked:
        return f"{health.errors} of {asked} requests failed"
    return ""


def _slow(health: ServingHealth, limits: ProbationLimits, elapsed: float) -> str:
    if limits.latency_p99_ms is None or health.p99_ms is None:
        return ""
    judged = health.requests >= limits.min_requests and elapsed >= limits.latency_after_s
    if judged and health.p99_ms > limits.latency_p99_ms:
        return f"p99 {health.p99_ms:.1f} ms, contract {limits.latency_p99_ms:.1f} ms"
    return ""


_PROBATION: Final[dict[Reason, Callable[[ServingHealth, ProbationLimits, float], str]]] = {
    Reason.PROBATION_CRASHES: _crashed,
    Reason.PROBATION_HANG: _hung,
    Reason.PROBATION_OUTPUTS: _bad_outputs,
    Reason.PROBATION_ERRORS: _failing,
    Reason.PROBATION_LATENCY: _slow,
}
"""Each trigger with its judge, which answers with the figures that condemn the release, or with nothing."""
