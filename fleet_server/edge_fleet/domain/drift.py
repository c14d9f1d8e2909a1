"""Whether what a cohort sees has moved away from its release's signed baseline, since when, and by how much.

Unit: the window. Evidence and effect are kept apart: an e-process says whether a change is real, however often one
looks; an effect size says whether it matters. An alarm needs both. Plain p-values, PSI thresholds or KS tests alone
give mostly false alarms on a fleet.

**Evidence.** A stream (a feature, the answers, the confidence) is counted in K bins. Let b be the baseline's counts
(m in all), X the cohort's counts from window j to now, p the cohort's bin probabilities.

    null         p ~ Dirichlet(c q),  q = (b + 1/2) / (m + K/2),  1/c = 1/m + DEVIATION / (K - 1)
    alternative  p ~ mean over s in SPREADS of Dirichlet(s K q')   q' = q mixed with the uniform distribution
    E_j          = P(X | alternative) / P(X | null), both Dirichlet-multinomial marginals of the counts,
                   averaged over two resolutions: the bins as they are, and neighbours merged into COARSE_BINS

For bins cut at order statistics of the baseline the coverages of the bins are Dirichlet distributed, whatever the
data's distribution (Wilks 1942; Tukey 1947, "statistically equivalent blocks"), with the bins' counts as parameters, up
to one observation: so the null accounts for the baseline being a sample. DEVIATION is the PSI-sized difference any
deployment has from its evaluation data and that nobody should be woken for. A ratio of two marginals is an e-process:
it exceeds 1/a at any time, under any number of looks, with probability at most a (Ville; Grunwald, de Heide, Koolen,
"Safe testing", JRSS-B 2024).

**Since when.** The start j is unknown. M = max over j of w_j E_j with w_j = 1 / (j (j + 1)), which sum to one, is again
an e-value at any time by the union bound (cf. Shin, Ramdas, Rinaldo, "E-detectors", 2023); the best j is the answer.

**Dependence.** Inferences within a window are not independent (a camera looks at one scene): a window counts for at
most WINDOW_LOOKS observations, and the evidence reported is what is left without the window that speaks loudest. A
minimum of e-values is below each of them, so it is still one.

**Several streams of a cohort.** e-BH at FDR_LEVEL (Wang, Ramdas, "False discovery rate control with e-values", JRSS-B
2022): valid whatever the dependence between the streams, at one look. Over many looks each stream keeps its own bound
(Ville), while the rate over all that ever alarmed can exceed FDR_LEVEL (Tavyrikov, Goeman, de Heide, "Carefree multiple
testing with e-processes", 2025).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, logsumexp

FDR_LEVEL: Final = 0.05
DEVIATION: Final = 0.02
"""A PSI of this size is within what any healthy deployment shows against its evaluation data."""
SPREADS: Final = (0.5, 2.0, 8.0)
"""Concentrations of the alternative per bin: from "all in one bin" to "moderately moved"."""
COARSE_BINS: Final = 8
"""Fine bins see a local change, coarse ones a broad, small one. PSI's customary limits are meant for about ten bins."""
WINDOW_LOOKS: Final = 256.0
MIN_OBSERVATIONS: Final = 100.0
MIN_WINDOWS: Final = 2
EFFECT_GATE: Final = 0.2
"""Bias-corrected PSI. Its rule of thumb calls 0.1 to 0.25 moderate; a camera that sees some hundred scenes again and
again reaches 0.1 against a baseline of some hundred samples without any drift (7 % of healthy runs; none reach 0.2)."""
LARGE_EFFECT: Final = 0.5

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stream:
    """One stream of a cohort: the baseline's counts [K] and the windows' counts [T, K], oldest first.

    `edges` are the inner edges of the bins [K - 1], where bins lie on a line of values; else there is no distance.
    """

    name: str
    group: str
    baseline: Array
    windows: Array
    edges: Array | None = None


@dataclass(frozen=True)
class Finding:
    """What one stream shows.

    `since` is the index of the first window of the run with the most evidence; `log_e` is that evidence without the
    window that speaks loudest.
    """

    name: str
    group: str
    log_e: float
    since: int
    observations: float
    psi: float
    """Population stability index, less what sampling alone gives it; >= 0."""
    total_variation: float
    """Half the sum of absolute differences of the bins' shares, 0..1."""
    wasserstein_iqr: float | None
    """Earth mover's distance in interquartile ranges of the baseline; None where values lie on no line."""


def find(stream: Stream) -> Finding | None:
    """Evidence and effect for one stream; None while there are too few windows or observations to say anything."""
    baseline, windows, edges = possible_bins(stream)
    if len(windows) < MIN_WINDOWS or windows.sum() < MIN_OBSERVATIONS or len(baseline) < 2 or not baseline.sum():
        return None
    looks = _discounted(windows)
    groups = _coarse_groups(baseline)
    since_counts = np.cumsum(looks[::-1], axis=0)[::-1]
    weights = _log_weights(len(looks))
    since = int(np.argmax((_log_e(baseline, since_counts, groups) + weights)[: 1 - MIN_WINDOWS]))
    without_one = _log_e(baseline, since_counts[since] - looks[since:], groups)
    live, observations = windows[since:].sum(axis=0), float(since_counts[since].sum())
    return Finding(
        name=stream.name,
        group=stream.group,
        log_e=float(without_one.min() + weights[since]),
        since=since,
        observations=observations,
        psi=corrected_psi(baseline @ groups, live @ groups, observations),
        total_variation=float(0.5 * np.abs(_shares(baseline @ groups) - _shares(live @ groups)).sum()),
        wasserstein_iqr=None if edges is None else _wasserstein_iqr(baseline, live, edges),
    )


def alarms(findings: Sequence[Finding], level: float = FDR_LEVEL) -> tuple[Finding, ...]:
    """Those that are both discoveries of e-BH among `findings` and past the effect gate, the strongest first."""
    ranked = sorted(findings, key=lambda finding: -finding.log_e)
    thresholds = [np.log(len(ranked) / (level * rank)) for rank in range(1, len(ranked) + 1)]
    discovered = max((i + 1 for i, f in enumerate(ranked) if f.log_e >= thresholds[i]), default=0)
    return tuple(finding for finding in ranked[:discovered] if finding.psi >= EFFECT_GATE)


def corrected_psi(baseline: Array, live: Array, observations: float) -> float:
    """PSI = sum (p - q) ln(p / q) on counts with half a count added, less its mean under no change.

    That mean is (K - 1)(1/n + 1/m): PSI is asymptotically a scaled chi-squared variable (Yurdakul, Naranjo,
    "Statistical properties of the population stability index", Journal of Risk Model Validation, 2020).
    `observations` is the effective n, which may be below the sum of `live`.
    """
    q, p = _shares(baseline + 0.5), _shares(live + 0.5)
    psi = float(((p - q) * np.log(p / q)).sum())
    return max(0.0, psi - (len(q) - 1) * (1 / observations + 1 / float(baseline.sum())))


def possible_bins(stream: Stream) -> tuple[Array, Array, Array | None]:
    """Drop bins that can hold nothing: equal edges (ties in the baseline), or classes unseen on either side."""
    if stream.edges is None:
        seen = (stream.baseline > 0) | (stream.windows.sum(axis=0) > 0)
        return stream.baseline[seen], stream.windows[:, seen], None
    wide = np.concatenate(([True], np.diff(stream.edges) > 0, [True]))
    edges = stream.edges[np.concatenate(([True], np.diff(stream.edges) > 0))]
    return stream.baseline[wide], stream.windows[:, wide], edges


def _coarse_groups(baseline: Array) -> Array:
    """A 0/1 matrix [K, G] that merges neighbouring bins into at most COARSE_BINS groups of about equal share."""
    shares = _shares(baseline + 0.5)
    middle = np.cumsum(shares) - shares / 2
    _, group = np.unique((middle * COARSE_BINS).astype(np.intp), return_inverse=True)
    matrix: Array = np.eye(int(group.max()) + 1)[group]
    return matrix


def _discounted(windows: Array) -> Array:
    """Windows scaled down so that none counts for more than WINDOW_LOOKS observations."""
    sizes = windows.sum(axis=1, keepdims=True)
    scaled: Array = windows * np.minimum(1.0, WINDOW_LOOKS / np.maximum(sizes, 1.0))
    return scaled


def _log_e(baseline: Array, counts: Array, groups: Array) -> Array:
    """ln E for each row of counts [N, K], averaged over the two resolutions."""
    fine, coarse = _log_ratio(baseline, counts), _log_ratio(baseline @ groups, counts @ groups)
    result: Array = np.logaddexp(fine, coarse) - np.log(2)
    return result


def _log_ratio(baseline: Array, counts: Array) -> Array:
    bins, m = len(baseline), float(baseline.sum())
    q = _shares(baseline + 0.5)
    concentration = 1.0 / (1.0 / m + DEVIATION / max(bins - 1, 1))
    mixed = 0.5 * q + 0.5 / bins
    alternatives = [_log_marginal(counts, spread * bins * mixed) for spread in SPREADS]
    alternative = logsumexp(np.stack(alternatives), axis=0) - np.log(len(SPREADS))
    result: Array = alternative - _log_marginal(counts, concentration * q)
    return result


def _log_marginal(counts: Array, prior: Array) -> Array:
    """ln P(counts) of a Dirichlet-multinomial for each row, without the coefficient that cancels in a ratio."""
    total = counts.sum(axis=-1)
    result: Array = (
        gammaln(prior.sum()) - gammaln(prior.sum() + total) + (gammaln(counts + prior) - gammaln(prior)).sum(axis=-1)
    )
    return result


def _log_weights(windows: int) -> Array:
    j = np.arange(1, windows + 1, dtype=np.float64)
    result: Array = -np.log(j) - np.log(j + 1)
    return result


def _shares(counts: Array) -> Array:
    result: Array = counts / counts.sum()
    return result


def _wasserstein_iqr(baseline: Array, live: Array, edges: Array) -> float | None:
    """Area between the two distribution functions over the span of the edges, in the baseline's IQR."""
    below_baseline, below_live = np.cumsum(_shares(baseline))[:-1], np.cumsum(_shares(live))[:-1]
    low, high = np.interp((0.25, 0.75), below_baseline, edges)
    if len(edges) < 2 or high <= low:
        return None
    gap = np.abs(below_baseline - below_live)
    return float(((gap[1:] + gap[:-1]) / 2 * np.diff(edges)).sum() / (high - low))


def devices_past_gate(baseline: Stream, devices: Mapping[str, Array]) -> tuple[str, ...]:
    """Which devices' own counts [K] are past the effect gate; those with too few observations are not named."""
    named = []
    for device, counts in devices.items():
        stream = Stream(baseline.name, baseline.group, baseline.baseline, counts[None, :], baseline.edges)
        reference, live, _ = possible_bins(stream)
        n = float(live.sum())
        groups = _coarse_groups(reference)
        if n >= MIN_OBSERVATIONS and corrected_psi(reference @ groups, live[0] @ groups, n) >= EFFECT_GATE:
            named.append(device)
    return tuple(sorted(named))
