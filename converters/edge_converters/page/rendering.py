"""A conversion's report as one HTML file: templates, and the words that they write numbers with.

The page loads nothing and runs nothing; its policy says so to the browser. The same outcome gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from edge_contracts.manifest import Figure
from edge_converters.gains import sentences as gain_sentences
from edge_converters.guard import Verdict
from edge_converters.memory import describe as describe_memory
from edge_converters.page.view import details, overview
from edge_converters.record import Record
from edge_converters.reports import Conversion, ProfileReport
from edge_converters.robustness.findings import MARGIN, QUANTILES
from edge_converters.timings import describe as describe_comparison

PAGE_FILE: Final = "report.html"
FOLDER: Final = Path(__file__).parent / "templates"

MEMORY: Final = ("arena", "flash", "sram")

MEANING: Final[dict[Verdict, str]] = {
    Verdict.PASS: "every profile has a variant that keeps its accuracy",
    Verdict.UNDECIDABLE: "there are too few samples to decide",
    Verdict.UNREACHABLE: "no scheme of a profile keeps the accuracy",
    Verdict.FAIL: "a variant lost too much or broke a check",
}


def render(outcome: Conversion, record: Record | None = None) -> bytes:
    """The page, in UTF-8. `record` is None where nothing was made."""
    text = _environment.get_template("report.html").render(
        outcome=outcome,
        record=record,
        overview=overview(outcome),
        profiles=[details(report, outcome.guard) for report in outcome.reports],
        meaning=MEANING[outcome.verdict],
    )
    return text.encode()


def size(count: float | None) -> str:
    """Bytes as people read them."""
    if count is None:
        return "–"
    for unit, word in ((1024**2, "MiB"), (1024, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {word}" if count < 100 * unit else f"{count / unit:.0f} {word}"
    return f"{count:.0f} B"


def value(number: float, error: bool) -> str:
    """A metric's value: an error as it is, else a share in per cent."""
    return f"{number:.4g}" if error else f"{number:.2%}"


def points(share: float) -> str:
    """A drop, signed."""
    return f"{share * 100:+.2f}"


def bound(share: float) -> str:
    """What a drop is at most."""
    return f"{share * 100:.2f}"


def milliseconds(number: float) -> str:
    """A latency with three figures."""
    return f"{number * 1000:.3g} µs" if number < 0.1 else f"{number:.3g} ms"


def figure(number: float, unit: str) -> str:
    """A figure with its unit, bytes as people read them."""
    if unit == "byte":
        return size(number)
    if unit.startswith("share"):
        return f"{number:.1%}" + unit.removeprefix("share")
    return f"{number:.4g} {unit}"


def capitalize_first(words: str) -> str:
    """The sentence with its first letter large; names within stay as they are."""
    return words[:1].upper() + words[1:]


def memories(report: ProfileReport) -> list[tuple[str, Figure]]:
    """The figures of memory that the table of variants shows."""
    return [(name, report.figures[name]) for name in MEMORY if report.figures and name in report.figures]


def flagged(reports: Sequence[ProfileReport]) -> list[ProfileReport]:
    """Profiles whose variant is brittle."""
    return [report for report in reports if report.robustness and report.robustness.brittle]


_environment: Final = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_environment.filters.update(
    size=size,
    value=value,
    points=points,
    bound=bound,
    ms=milliseconds,
    figure=figure,
    flagged=flagged,
    memories=memories,
    capitalize_first=capitalize_first,
    comparison=describe_comparison,
    gain=gain_sentences,
    memory=describe_memory,
)
_environment.globals.update(MARGIN=MARGIN, QUANTILES=QUANTILES)
