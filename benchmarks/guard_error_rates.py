"""How often the guard is wrong, simulated: good variants failed, collapsed classes missed, bounds that do not hold.

A variant errs in each class at its own rate; each row prints the share of draws that ended so. `naive` fails a variant
where a class is seen to lose more than the limit, and `strict` asks each class to be shown to be fine before it passes.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from scipy.stats import norm

from edge_converters.guard import Guard, Verdict, judge
from edge_converters.paired import Means, Proportions, from_parts, from_scores
from edge_converters.scoring import area
from edge_converters.slices import judge_slices, memberships

GUARD = Guard()
DRAWS = 200
CHURN = 0.01
"""Of the answers that change without a loss: as many are won as lost."""
CLASSES = {
    "12 classes of 23": [23] * 12,
    "10 classes of 100": [100] * 10,
    "100 classes of 20": [20] * 100,
    "15 classes of 2 to 120": [2, 3, 4, 5, 6, 8, 10, 20, 30, 40, 50, 60, 80, 100, 120],
}


def ended(
    sizes: list[int], drops: list[float], churn: list[float], rng: np.random.Generator
) -> tuple[Verdict, list[bool]]:
    """The guard's verdict; whether a slice failed it, and whether the naive rule fails and the strict one passes it."""
    source, variant = [], []
    for n, drop, moved in zip(sizes, drops, churn, strict=True):
        lost, won, _ = rng.multinomial(n, [moved + drop, moved, 1 - 2 * moved - drop])
        source.append(np.r_[np.ones(n - won), np.zeros(won)])
        variant.append(np.r_[np.zeros(lost), np.ones(n - lost)])
    before, after = np.concatenate(source), np.concatenate(variant)
    members = memberships({"class": np.repeat(np.arange(len(sizes)), sizes)})
    judged = judge_slices(before, after, members, GUARD)
    verdict = judge(from_scores(before, after), GUARD, judged).verdict
    naive = any(each.drop > GUARD.slice_limit for each in judged)
    strict = verdict is Verdict.PASS and all(each.verdict is Verdict.PASS for each in judged)
    return verdict, [any(each.verdict is Verdict.FAIL for each in judged), naive, strict]


def slice_rule() -> None:
    """A table of what becomes of good and of collapsed variants."""
    print("classes | true drop | pass | undecidable | fail | of it by a slice | naive rule fails | strict rule passes")
    for name, sizes in CLASSES.items():
        count, place = len(sizes), len(sizes) // 2
        calm = [CHURN] * count
        restless = [0.1 if each == place else CHURN for each in range(count)]
        cases = {
            "none": ([0.0] * count, calm),
            "none, one class changes 20 %": ([0.0] * count, restless),
            "1 point in each": ([0.01] * count, calm),
            "3 points (the limit) in each": ([0.03] * count, calm),
        }
        for share in (0.2, 0.35, 0.5, 0.9):
            cases[f"{share:.0%} in one of {sizes[place]}"] = (
                [share if each == place else 0.0 for each in range(count)],
                [min(CHURN, (1 - share) / 2) for _ in range(count)],
            )
        for what, (drops, churn) in cases.items():
            rng = np.random.default_rng(1)
            verdicts, others = zip(*(ended(sizes, drops, churn, rng) for _ in range(DRAWS)), strict=True)
            told = Counter(verdicts)
            shares = [told[each] / DRAWS for each in (Verdict.PASS, Verdict.UNDECIDABLE, Verdict.FAIL)]
            print(f"{name} | {what} |", " | ".join(f"{share:.1%}" for share in [*shares, *np.mean(others, axis=0)]))


def bounds() -> None:
    """How often the true drop lies below the bound: 95 % is what is promised."""
    rng = np.random.default_rng(2)
    kinds = {
        "right or wrong, n = 100, 1 point lost": lambda: (_drawn(rng, 100, 0.02, 0.01), 0.01),
        "right or wrong, n = 300, 1 point lost": lambda: (_drawn(rng, 300, 0.02, 0.01), 0.01),
        "costs 0, 0.2, 1; n = 300": lambda: (_costly(rng, 300), 0.01),
        "AUC, 50 anomalies of 300": lambda: _areas(rng, 50, 250),
    }
    for name, draw in kinds.items():
        held = []
        for _ in range(10 * DRAWS):
            evidence, true = draw()
            held.append(evidence.upper(evidence.n) >= true)
        print(f"{name:40} | bound holds in {np.mean(held):.1%}")


def _drawn(rng: np.random.Generator, n: int, lost: float, won: float) -> Proportions:
    a, b, _ = rng.multinomial(n, [lost, won, 1 - lost - won])
    return Proportions(0.9, 0.9 - (a - b) / n, int(a), int(b), n)


def _costly(rng: np.random.Generator, n: int) -> Proportions | Means:
    drops = rng.choice([0.0, 0.2, 1.0, -0.2], n, p=[0.965, 0.02, 0.008, 0.007])
    return (
        from_scores(np.full(n, 0.5) + drops / 2, np.full(n, 0.5) - drops / 2)
        if drops.any()
        else from_scores(np.full(n, 0.5), np.full(n, 0.5))
    )


def _areas(rng: np.random.Generator, positives: int, negatives: int) -> tuple[Means, float]:
    """Two noisy looks at one score: the true areas are those of normal scores a distance apart."""
    true = np.r_[np.ones(positives), np.zeros(negatives)].astype(np.int64)
    common = rng.normal(size=len(true)) + 1.5 * true
    before, after = (area(common + rng.normal(0, noise, len(true)), true) for noise in (0.2, 0.6))
    parts = before.parts(true) - after.parts(true)
    expected = norm.cdf(1.5 / np.sqrt(2 * (1 + 0.04))) - norm.cdf(1.5 / np.sqrt(2 * (1 + 0.36)))
    return from_parts(before.value, after.value, parts, positives, False), float(expected)


if __name__ == "__main__":
    slice_rule()
    bounds()
