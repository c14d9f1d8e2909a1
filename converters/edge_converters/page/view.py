"""What the page shows of a conversion: its charts, and the tables that need more than the report's own fields. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edge_contracts.manifest import Figure
from edge_converters.fronts import front
from edge_converters.guard import Confusion, Guard, Judgement
from edge_converters.layers import LayerError
from edge_converters.page import charts
from edge_converters.page.charts import FLOAT, Interval, Point
from edge_converters.page.drawing import Chart
from edge_converters.reports import Conversion, ProfileReport
from edge_converters.robustness.findings import Bin, Calibration, Features, Residuals, Robustness, Sweep
from edge_converters.search.findings import Found

MOST_CLASSES: Final = 24
"""Of more, a table of confusions is not read; then only what changed is listed."""
MOST_CHANGES: Final = 12
WORST_LAYERS: Final = 3
"""Shown in another colour."""
BESIDE_OTHERS: Final = frozenset({"size", "float_size", "latency_ratio"})
"""Figures that the table of variants shows."""


@dataclass(frozen=True)
class Cell:
    """A count of a confusion table, and how dark it is shown, in -1..1."""

    count: int
    shade: float


@dataclass(frozen=True)
class Grid:
    """A confusion table: a row for each true class."""

    title: str
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True)
class Checked:
    """Robustness with its charts, in the order of its findings."""

    findings: Robustness
    sweeps: tuple[tuple[Sweep, Chart], ...]
    residuals: tuple[tuple[Residuals, Chart], ...]
    features: Chart | None
    calibration: Chart | None


@dataclass(frozen=True)
class Details:
    """Everything about one profile."""

    report: ProfileReport
    judgement: Judgement | None
    figures: tuple[tuple[str, Figure], ...]
    latency: Chart | None
    layers: Chart | None
    slices: Chart | None
    grids: tuple[Grid, ...]
    changed: tuple[tuple[str, str, int, int], ...]
    """True class, told class, before, after: where most changed."""
    robustness: Checked | None
    search: Chart | None


@dataclass(frozen=True)
class Overview:
    """The charts over all profiles; None where there is too little to draw."""

    drops: Chart | None
    sizes: Chart | None
    latencies: Chart | None
    front: frozenset[tuple[str, str]]
    """Profile and name of the candidates on the front of size and drop."""


def overview(outcome: Conversion) -> Overview:
    """Over all profiles and candidates."""
    sizes, times = list(_sizes(outcome)), list(_times(outcome))
    allowed = outcome.guard.max_drop * 100
    best = front([(point.cost, point.loss) for point in sizes])
    groups = [report.profile for report in outcome.reports]
    size, time = "Size against drop of every candidate", "Latency against drop of the variants that were timed"
    return Overview(
        drops=_drops(outcome),
        sizes=charts.trade(
            sizes, groups, "size, KiB", "drop in ranking, or its worst slice's, points", allowed, size, log=True
        )
        if len(sizes) > 1
        else None,
        latencies=charts.trade(times, groups, "ms, median", "drop in the decision, points", allowed, time, log=True)
        if len(times) > 1
        else None,
        front=frozenset((sizes[place].group, sizes[place].name) for place in best),
    )


def details(report: ProfileReport, guard: Guard) -> Details:
    """One profile's charts and tables."""
    judged = report.best.judgement
    confusion = judged.confusion if judged else None
    timed = report.latency is not None and report.float_latency is not None
    return Details(
        report=report,
        judgement=judged,
        figures=tuple(
            (name.replace("_", " "), figure)
            for name, figure in (report.figures or {}).items()
            if name not in BESIDE_OTHERS and "latency_" not in name
        ),
        latency=charts.latencies(report.float_latency.histogram, report.latency.histogram)
        if timed and report.latency and report.float_latency and report.latency.histogram
        else None,
        layers=_layers(report.layers) if report.layers else None,
        slices=_slices(judged, guard) if judged and judged.slices else None,
        grids=_grids(confusion) if confusion and len(confusion.classes) <= MOST_CLASSES else (),
        changed=_changed(confusion) if confusion else (),
        robustness=_checked(report.robustness) if report.robustness else None,
        search=_search(report.search, report.profile, guard) if report.search else None,
    )


def _search(found: Found, profile: str, guard: Guard) -> Chart | None:
    points = [
        Point(str(trial.recipe), profile, trial.costs.time, trial.costs.drop * 100, place == found.taken)
        for place, trial in enumerate(found.trials)
        if trial.costs is not None
    ]
    words = f"{found.time_unit} for one inference", "drop in ranking, points"
    label = "Time against drop of every recipe that was tried"
    return charts.trade(points, [profile], *words, guard.max_drop * 100, label, log=True) if points else None


def _drops(outcome: Conversion) -> Chart | None:
    rows = [
        Interval(report.profile, judged.drop * 100, judged.upper_bound * 100, report.verdict)
        for report in outcome.reports
        if (judged := report.best.judgement) is not None
    ]
    guard = outcome.guard
    limits = ((guard.max_drop * 100, "allowed"), ((guard.max_drop + guard.slack) * 100, "allowed for the bound"))
    unit = "% more error" if outcome.error else "points lost, up to the 95 % bound"
    return charts.intervals(rows, limits, unit, "Drop of each profile with its bound") if rows else None


def _sizes(outcome: Conversion) -> Iterator[Point]:
    for report in outcome.reports:
        for candidate in report.candidates:
            if candidate.size_bytes is not None and candidate.ranking_drop is not None:
                size, loss = candidate.size_bytes / 1024, candidate.ranking_drop * 100
                yield Point(candidate.name, report.profile, size, loss, candidate.name == report.taken)
    for size in sorted({report.float_bytes for report in outcome.reports if report.float_bytes}):
        yield Point("as converted", FLOAT, size / 1024, 0.0)


def _times(outcome: Conversion) -> Iterator[Point]:
    for report in outcome.reports:
        judged = report.best.judgement
        if report.latency and report.float_latency and report.comparison and judged:
            yield Point(report.best.name, report.profile, report.latency.p50, judged.drop * 100, taken=True)
            yield Point(f"as {report.profile} runs it", FLOAT, report.float_latency.p50, 0.0)


def _layers(layers: tuple[LayerError, ...]) -> Chart:
    values = [each.decibels for each in layers]
    top = max([value for value in values if value is not None], default=60.0)
    told = [each for each in layers if each.decibels is not None]
    worst = {each.name for each in sorted(told, key=lambda each: each.decibels or 0.0)[:WORST_LAYERS]}
    return charts.columns(
        [f"{each.operator}, {each.name}" for each in layers],
        [top if value is None else value for value in values],
        ["bad" if each.name in worst else "variant" for each in layers],
        "signal over error, dB",
        "How near each layer's output is to the float model's, from input to output",
    )


def _slices(judged: Judgement, guard: Guard) -> Chart:
    rows = [Interval(each.name, each.drop * 100, each.upper_bound * 100, each.verdict) for each in judged.slices]
    worst = sorted(rows, key=lambda row: (-row.value, -row.bound))[:MOST_CLASSES]
    kept = [row for row in rows if row in worst]
    limits = ((guard.slice_limit * 100, "what a slice may lose"),)
    return charts.intervals(kept, limits, "points lost, up to the 95 % bound", "Drop of each slice with its bound")


def _grids(confusion: Confusion) -> tuple[Grid, ...]:
    difference = tuple(
        tuple(after - before for before, after in zip(*rows, strict=True))
        for rows in zip(confusion.before, confusion.after, strict=True)
    )
    largest = max((abs(value) for row in difference for value in row), default=0) or 1
    return (
        _grid("before", confusion.classes, confusion.before),
        _grid("after", confusion.classes, confusion.after),
        _grid("after less before", confusion.classes, difference, largest),
    )


def _grid(
    title: str, classes: tuple[str, ...], counts: tuple[tuple[int, ...], ...], largest: int | None = None
) -> Grid:
    """Shades are of the row's sum, or of `largest`."""
    return Grid(
        title,
        tuple(
            (name, tuple(Cell(count, count / (largest or max(sum(row), 1))) for count in row))
            for name, row in zip(classes, counts, strict=True)
        ),
    )


def _changed(confusion: Confusion) -> tuple[tuple[str, str, int, int], ...]:
    names = confusion.classes
    found = [
        (names[true], names[told], before, after)
        for true, rows in enumerate(zip(confusion.before, confusion.after, strict=True))
        for told, (before, after) in enumerate(zip(*rows, strict=True))
        if before != after
    ]
    return tuple(sorted(found, key=lambda each: -abs(each[3] - each[2]))[:MOST_CHANGES])


def _checked(findings: Robustness) -> Checked:
    return Checked(
        findings,
        sweeps=tuple((sweep, _sweep(sweep, findings)) for sweep in findings.sweeps),
        residuals=tuple(
            (each, charts.histogram(each.edges, each.counts, "float less variant", f"Residuals of {each.output}"))
            for each in findings.residuals
        ),
        features=_features(findings.features) if findings.features else None,
        calibration=_calibration(findings.calibration) if findings.calibration else None,
    )


def _sweep(sweep: Sweep, findings: Robustness) -> Chart:
    return charts.curves(
        [level.level for level in sweep.levels],
        [100 * level.source for level in sweep.levels],
        [100 * level.variant for level in sweep.levels],
        f"{sweep.name}, {sweep.unit}",
        "score, %",
        f"Score under {sweep.name}; as they are {findings.source:.1%} and {findings.variant:.1%}",
    )


def _features(found: Features) -> Chart:
    points = [
        (source, variant, f"{name}: {source:.3g} float, {variant:.3g} variant")
        for name, source, variant in zip(found.names, found.source, found.variant, strict=True)
    ]
    return charts.against(
        [("variant", points)], "change of the float model's answers", "of the variant's", "Effect of each part"
    )


def _calibration(found: Calibration) -> Chart:
    series = [
        (kind, [(each.confidence, each.right, _words(kind, each)) for each in bins])
        for kind, bins in (("float", found.source_bins), ("variant", found.variant_bins))
    ]
    return charts.against(
        series, "confidence", "share that is right", "Confidence against correctness", joined=True, most=1.0
    )


def _words(kind: str, found: Bin) -> str:
    return f"{kind}: {found.n} answers, {found.confidence:.1%} sure, {found.right:.1%} right"
