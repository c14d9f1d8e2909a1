"""How a conversion's outcome is told at the terminal: a table that fits 100 columns, then a sentence for each thing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_sdk.cli import recipes_shown, screen

if TYPE_CHECKING:
    from edge_converters.reports import Candidate, Conversion, ProfileReport

COLUMNS: Final = ("profile", "verdict", "scheme", "value", "drop", "bound", "size", "float", "ms", "float")
MOST_OTHERS: Final = 8
WORDS: Final = (
    "`value`, `drop`: judged on samples that nothing was chosen by; `bound`: of the drop, 95 %.\n"
    "`ms`: the median, in turns with the float model's. `-`: not measured, or not measurable here."
)


def show(outcome: Conversion, page: Path | None) -> None:
    """Print it. `page` is where the report for people was written, beside the one in the bundle."""
    from edge_converters.memory import describe
    from edge_converters.training import describe as taught

    print(_title(outcome))
    made = screen.table(COLUMNS, [_row(report, outcome.error) for report in outcome.reports])
    made.collapse_padding, made.pad_edge = True, False
    screen.console().print(made)
    print(WORDS)
    for remark in outcome.remarks:
        print(f"Data: {remark}")
    for lesson in outcome.lessons:
        print(f"Training: {taught(lesson)}")
    for report in outcome.reports:
        weights = recipes_shown.sentences(report, outcome.guard.max_drop)
        for sentence in (*_remarks(report), *weights, *_judged(report, outcome), *_robustness(report)):
            print(sentence)
        recipes_shown.show_front(report)
    if outcome.memory is not None:
        print(f"Memory: {describe(outcome.memory)}")
    _tell_files(outcome, page)


def _title(outcome: Conversion) -> str:
    """With the float model's value, which is the same in every row."""
    unit = "" if outcome.error else ", in %"
    judged = next((each.best.judgement for each in outcome.reports if each.best.judgement is not None), None)
    before = "" if judged is None else f"; the float model's is {_value(judged.source, outcome.error)}"
    return f"{outcome.source}: {outcome.metric}{unit}, on {outcome.samples['decision']} samples{before}"


def _tell_files(outcome: Conversion, page: Path | None) -> None:
    if page is not None:
        print(f"Report: {page}")
    if outcome.bundle is None:
        screen.say("No bundle was written: every profile has to pass. Leave a failing one out, or see the words above.")
        if page is None:
            screen.say("With plots: add --report FILE.html.")
        return
    print(f"Bundle: {outcome.bundle} (a report with plots is in it: report.html)")
    screen.say(f"Next: edge-sdk publish {outcome.bundle}")


def _row(report: ProfileReport, error: bool) -> tuple[str, ...]:
    best = report.best
    judged = best.judgement
    return (
        report.profile,
        report.verdict,
        best.scheme,
        _value(judged.variant, error) if judged else "-",
        f"{judged.drop * 100:+.2f}" if judged else "-",
        f"{judged.upper_bound * 100:.2f}" if judged else "-",
        _size(best.size_bytes),
        _size(report.float_bytes),
        f"{report.latency.p50:.3g}" if report.latency else "-",
        f"{report.float_latency.p50:.3g}" if report.float_latency else "-",
    )


def _value(value: float, error: bool) -> str:
    return f"{value:.4g}" if error else f"{value * 100:.2f}"


def _size(count: int | None) -> str:
    """In one figure with its unit: bytes, kibibytes or mebibytes."""
    if count is None:
        return "-"
    if count < 1024:
        return f"{count}B"
    return f"{count / 1024:.0f}K" if count < 10 * 1024**2 else f"{count / 1024**2:.0f}M"


def _remarks(report: ProfileReport) -> Iterable[str]:
    """How the variant ran, or why there is none and what to do; then what each recipe said that was not taken."""
    best = report.best
    if report.variant is not None:
        yield f"{report.profile}: {report.target}"
        yield from _timing(report)
    else:
        yield f"{report.profile}: {report.verdict}: {best.name}: {best.sentence}. {report.hint}"
    others = [each for each in _others(report, best) if each.sentence != best.sentence]
    for other in others[:MOST_OTHERS]:
        said, *_ = other.sentence.split("; ")  # the report has it whole
        yield f"{report.profile}: {other.name} not taken: {said}. {other.hint}".rstrip()
    if len(others) > MOST_OTHERS:
        yield f"{report.profile}: {len(others) - MOST_OTHERS} more were not taken; the report has them all"
    alike = len(_others(report, best)) - len(others)
    if alike:
        yield f"{report.profile}: the same goes for {alike} other recipes"


def _others(report: ProfileReport, best: Candidate) -> list[Candidate]:
    """Of a search its front is shown instead."""
    return [] if report.search else [each for each in report.candidates if each.name != best.name]


def _judged(report: ProfileReport, outcome: Conversion) -> Iterable[str]:
    """What is to be said of slices, and of the test split."""
    from edge_converters.explanations import slices, tested

    judged = report.best.judgement
    if judged is not None and not judged.failed_slices and (said := slices(judged, outcome.guard)):
        yield f"{report.profile}: {said}"
    if report.test is not None:
        yield f"{report.profile}: {tested(report.test, outcome.guard, outcome.error)}"


def _robustness(report: ProfileReport) -> Iterable[str]:
    if report.robustness is not None:
        from edge_converters.robustness.words import describe as describe_robustness

        yield f"{report.profile}: {describe_robustness(report.robustness)}"


def _timing(report: ProfileReport) -> Iterable[str]:
    """What the latencies say and where they were measured, and whether all this was found in the cache."""
    from edge_converters.timings import describe

    figures = report.figures or {}
    if report.latency is not None:
        said = describe(report.comparison) if report.comparison else "something in software stands for the target"
        yield f"{report.profile}: {said}. Measured on: {figures['latency_p50'].source}"
    if report.from_cache is not None:
        yield f"{report.profile}: from cache, made and measured at {report.from_cache}"
