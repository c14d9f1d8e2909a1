"""Whether a conversion says so when it cannot know: wrong calibration data, and more asked than labels can show.

Prints, for the keyword model: calibration data scaled 100 x, in both directions, ends in `fail` with the cause; a
demand of 0.2 points with 50 labels ends in `undecidable` with the number of samples needed, whichever 50 are drawn; the
default demand with all labels passes. Ends with 1 if any of it did not.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from _models import keyword_data, keyword_model

from edge_converters import Guard, Method, Proof, Samples, Verdict, convert, make_data
from edge_profiles.boards import load

PROFILES = ("rpi4-litert", "cortex-m4-stm32l4r5")
STRICT = Guard(max_drop=0.002, slack=0)
LABELS = 50
DRAWS = 3


def main() -> int:
    """Print each case beside what it should end in."""
    whole = keyword_data()
    right, labelled = whole.calibration.x.astype(np.float32), whole.evaluation
    cases = [
        ("all labels, 1 point allowed", right, labelled, Guard(), Verdict.PASS),
        ("calibration 100 x too large", right * 100, labelled, Guard(), Verdict.FAIL),
        ("calibration 100 x too small", right / 100, labelled, Guard(), Verdict.FAIL),
    ]
    for draw in range(DRAWS):
        few = labelled.take(np.random.default_rng(draw).choice(len(labelled), LABELS, replace=False))
        cases.append((f"50 labels, 0.2 points allowed, draw {draw + 1}", right, few, STRICT, Verdict.UNDECIDABLE))
    return max([_told(*case) for case in cases])


def _told(name: str, calibration: np.ndarray, labelled: Samples, guard: Guard, expected: Verdict) -> int:
    data = make_data(Samples(calibration, None), labelled, keyword_data().preprocessing)
    boards = [load(profile) for profile in PROFILES]
    with tempfile.TemporaryDirectory() as folder:
        place, method = Path(folder) / "bundle", Method(latency=False)
        outcome = convert(keyword_model(), boards, data, output=place, proof=Proof(guard), method=method)
    met = all(report.verdict is expected for report in outcome.reports)
    print(f"{'ok ' if met else 'NOT'} {name}: {outcome.verdict} (expected: {expected})")
    for report in outcome.reports:
        print(f"      {report.profile}: {report.best.sentence}. {report.hint}".rstrip())
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
