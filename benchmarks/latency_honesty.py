"""Whether a difference of latency that is reported is one: 20 times a file beside itself, then a true difference.

A file beside itself (A/A) must be called `no difference`. The true difference shows that the rule can see one.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from _models import keyword_data, keyword_model, picture_data, picture_model, profile_with

from edge_converters import Guard, Method, Proof, convert
from edge_converters.bundles import read_bundle
from edge_converters.datasets import Data
from edge_converters.latency import Stopwatch
from edge_converters.timings import Comparison
from edge_profiles.profile import Profile

RUNS = 20
TRUE_RUNS = 5
ANY_DROP = Proof(Guard(max_drop=1.0, slack=1.0))
"""Only times matter here."""


def made(source: Path, data: Data, profiles: list[Profile], folder: Path) -> list[tuple[Path, Path]]:
    """For each profile the model file and its stored samples."""
    convert(source, profiles, data, output=folder / "bundle", proof=ANY_DROP, method=Method(latency=False))
    bundle = read_bundle(folder / "bundle")
    found = []
    for profile in profiles:
        (variant,) = bundle.manifest.for_profile(profile.name)
        place = bundle.path / "variants" / variant.name
        with np.load(place / "golden.npz") as arrays:
            np.save(place / "samples.npy", arrays["input_0"])
        found.append((place / f"model.{variant.format}", place / "samples.npy"))
    return found


def compared(variant: tuple[Path, Path], base: tuple[Path, Path], profile: Profile) -> Comparison:
    """In processes of its own."""
    with Stopwatch() as stopwatch:
        timing = stopwatch.measure(*variant, *base, profile)
    assert timing is not None
    assert timing.comparison is not None
    return timing.comparison


def show(title: str, found: list[Comparison], seconds: float) -> None:
    """Verdicts, ratios and A/A spreads."""
    verdicts = Counter(str(each.verdict) for each in found)
    ratios, spreads = [each.ratio for each in found], [each.aa_spread for each in found]
    widths = [each.high / each.low - 1 for each in found]
    print(f"{title}: {', '.join(f'{count} x {verdict}' for verdict, count in verdicts.items())}")
    print(f"  ratio {min(ratios):.3f} .. {np.median(ratios):.3f} .. {max(ratios):.3f} (least, median, most)")
    print(f"  A/A spread {np.median(spreads):.1%}, at most {max(spreads):.1%}; interval {np.median(widths):.1%} wide")
    print(f"  {seconds / len(found):.1f} s for each")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        boards = [profile_with("rpi4-litert", "int8", folder), profile_with("x86-64-vnni", "qdq-u8s8", folder)]
        (folder / "keywords").mkdir()
        for profile, file in zip(
            boards, made(keyword_model(), keyword_data(), boards, folder / "keywords"), strict=True
        ):
            start = time.monotonic()
            found = [compared(file, file, profile) for _ in range(RUNS)]
            show(f"A/A, keywords, {profile.engine} {profile.schemes[0]}", found, time.monotonic() - start)
        pair = [profile_with("x86-64-vnni", scheme, folder) for scheme in ("qdq-u8s8", "fp32")]
        (folder / "pictures").mkdir()
        variant, base = made(picture_model(), picture_data(), pair, folder / "pictures")
        start = time.monotonic()
        found = [compared(variant, base, pair[0]) for _ in range(TRUE_RUNS)]
        show("A/B, ResNet-8, onnxruntime qdq-u8s8 beside fp32", found, time.monotonic() - start)


if __name__ == "__main__":
    main()
