"""The page of the comparison, from the figures that the script measured; nothing in it is typed by hand."""

from __future__ import annotations

from typing import Any, Final

HEAD: Final = """# Beside other quantisers

Written by `benchmarks/against_others.py --docs docs/benchmarks.md` on {date}, on {machine}. The figures behind it are
in benchmarks.json beside this page.

Same float model, same calibration samples, same evaluation samples, same engine. Ours is what `edge-sdk convert` takes
by itself of the int8 recipes of the profile, on samples that chose nothing.

- **error**: root mean square difference from the float model's answers, as a share of their spread; the ratio is ours
  over theirs, with the 95 % interval of a paired bootstrap over the samples.
- **latency**: median of one inference on this machine; the ratio is ours over theirs from interleaved processes, with
  its 99 % interval. What lies within the interval, or within what one file differs from itself, is no difference.
- **size**: bytes of the model file.

A variant of ours is dominated where it is behind in all three.
"""
COLUMNS: Final = (
    "model, engine",
    "beside",
    "n",
    "accuracy",
    "error",
    "size",
    "latency",
    "ours is better in",
    "worse in",
)


def comparison_page(found: dict[str, Any]) -> str:
    """Markdown."""
    rows = found["rows"]
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows]
    return "\n".join((HEAD.format(**found), *lines, "", _verdict(rows), ""))


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    ours, theirs = row["scores"]
    scores = "" if ours is None else f"{ours:.2%} / {theirs:.2%} ({row['score_name']})"
    return (
        f"{row['model']}, {row['engine']}: {row['recipe']}",
        row["other"],
        str(row["n"]),
        scores,
        f"{row['errors'][0]:.4f} / {row['errors'][1]:.4f}: {_ratio(row['error_ratio'])}",
        f"{row['sizes'][0]:,} / {row['sizes'][1]:,}: {row['sizes'][0] / row['sizes'][1]:.2f} x",
        f"{row['milliseconds'][0]:.3f} / {row['milliseconds'][1]:.3f} ms: {_ratio(row['latency_ratio'])}",
        ", ".join(row["better"]) or "nothing",
        ", ".join(row["worse"]) or "nothing",
    )


def _ratio(given: list[float]) -> str:
    ratio, low, high = given
    return f"{ratio:.2f} x ({low:.2f} to {high:.2f})"


def _verdict(rows: list[dict[str, Any]]) -> str:
    dominated = [f"{row['model']} beside {row['other']}" for row in rows if len(row["worse"]) == 3]
    behind = [f"{row['model']} beside {row['other']} in {' and '.join(row['worse'])}" for row in rows if row["worse"]]
    first = f"Dominated: {'; '.join(dominated)}." if dominated else f"Dominated in none of {len(rows)} comparisons."
    return f"{first} Others win: {'; '.join(behind) or 'nowhere'}."
