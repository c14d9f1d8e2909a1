"""`edge-sdk convert`: a model becomes a bundle with one proven variant for each hardware profile."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from edge_sdk.cli import options, screen

if TYPE_CHECKING:
    from edge_converters.reports import Candidate, Conversion, ProfileReport

EXIT_CODES: Final = {"pass": 0, "fail": 1, "undecidable": 8, "unreachable": 9}
"""By verdict; an unusable model, file or argument ends with 3."""


def convert(
    source: Annotated[Path, typer.Argument(help="Keras file (.keras, .h5), SavedModel folder or .onnx file.")],
    profile: Annotated[list[str], typer.Option("--profile", help="Hardware profile or its file; more than once.")],
    calibration: Annotated[Path, typer.Option(help=".npz with x: samples that ranges are taken from.")],
    evaluation: Annotated[Path, typer.Option(help=".npz with x and y; without y, agreement with the source counts.")],
    test: Annotated[
        Path | None, typer.Option(help=".npz as --evaluation: for the report, nothing rests on it.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="accuracy, top-3, f1, auc, auc-reconstruction, r2, rmse, rmse-reconstruction, map50, agreement, or "
            "your own: file.py:function. Else: what fits the model."
        ),
    ] = None,
    costs: Annotated[
        Path | None, typer.Option(help="Costs of errors, .toml or .csv: a row for each true class.")
    ] = None,
    max_drop: Annotated[float, typer.Option(min=0, max=1, help="Accuracy that may be lost, as a share.")] = 0.01,
    slack: Annotated[float, typer.Option(min=0, max=1, help="What the drop's 95 % bound may exceed it by.")] = 0.02,
    slice_max_drop: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="What a class or slice_<name> of the evaluation may lose. Else: 3 x --max-drop."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the bundle. Else: <model>-<version>.bundle")] = None,
    model: Annotated[str | None, typer.Option(help="The model's name. Else: made from the source's.")] = None,
    version: Annotated[int, typer.Option(min=1, help="The release's version number.")] = 1,
    labels: Annotated[
        Path | None, typer.Option(help="Text file with one class name a line: the answers are classes.")
    ] = None,
    offset: Annotated[float, typer.Option(help="The model takes (x - offset) * scale.")] = 0.0,
    scale: Annotated[float, typer.Option(help="See --offset.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the random inputs in the parity check.")] = 0,
    latency: Annotated[bool, typer.Option(help="Time variants beside the float model: some seconds each.")] = True,
    cache: Annotated[
        bool, typer.Option(help="Take what was made before of the same inputs. EDGE_SDK_CACHE names the folder.")
    ] = True,
    as_json: options.Json = False,
) -> None:
    """Convert a model for hardware profiles and prove each variant on labelled data.

    Of a profile's schemes the first that does well on three tenths of the evaluation data is judged on the rest, once.

    Ends with 0 if every profile passed, 1 if one failed a check or its scheme was not confirmed, 8 if there are too few
    samples to decide, 9 if no scheme keeps the accuracy, 3 if an input is not usable.

    Example: edge-sdk convert model.keras --profile x86-64-vnni --profile rpi4-litert --calibration c.npz
    --evaluation e.npz
    """
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from edge_contracts.ids import ModelName
    from edge_contracts.manifest import Preprocessing
    from edge_converters.cache import Cache, default_folder
    from edge_converters.conversion import convert as run
    from edge_converters.costs import read_costs
    from edge_converters.datasets import read_data
    from edge_converters.guard import Guard
    from edge_profiles.boards import load

    profiles = [load(each) for each in profile]
    name = ModelName(model or _name_of(source))
    data = read_data(calibration, evaluation, Preprocessing(offset=offset, scale=scale), test)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = screen.console(errors=True)
    with Progress(*columns, console=console, disable=as_json or not console.is_terminal, transient=True) as bars:
        bar = bars.add_task("starting")
        outcome = run(
            source,
            profiles,
            data,
            output=output or Path(f"{name}-{version}.bundle"),
            model=name,
            version=version,
            labels=_labels(labels),
            guard=Guard(max_drop, slack, slice_max_drop),
            metric=metric,
            costs=None if costs is None else read_costs(costs),
            seed=seed,
            latency=latency,
            cache=Cache(default_folder()) if cache else None,
            on_step=lambda what, done, total: bars.update(bar, description=what, completed=done, total=total),
        )
    if as_json:
        from edge_converters.reports import as_json as plain

        screen.show_json(plain(outcome))
    else:
        _show(outcome)
    raise typer.Exit(EXIT_CODES[outcome.verdict])


def _name_of(source: Path) -> str:
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in source.stem.lower())
    return kept.strip("-") or "model"


def _labels(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    from edge_converters.errors import BadInput

    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not a readable text file", "Write one class name a line, in UTF-8.") from error


def _show(outcome: Conversion) -> None:
    from edge_converters.memory import describe

    screen.show_table(
        f"{outcome.source}: {outcome.metric} on {outcome.samples['decision']} samples",
        ("profile", "verdict", "scheme", "before", "after", "drop (95 %)", "size", "latency p50", "float"),
        [_row(report, outcome.error) for report in outcome.reports],
        "",
    )
    for remark in outcome.remarks:
        print(f"Data: {remark}")
    for report in outcome.reports:
        for sentence in (*_remarks(report), *_judged(report, outcome)):
            print(sentence)
    print("Latency beside the float model, in turns. `-`: not measured, or not measurable here.")
    if outcome.memory is not None:
        print(f"Memory: {describe(outcome.memory)}")
    if outcome.bundle is None:
        screen.say("No bundle was written: every profile has to pass. Leave a failing one out, or see the words above.")
    else:
        print(f"Bundle: {outcome.bundle}")
        screen.say(f"Next: edge-sdk publish {outcome.bundle}")


def _row(report: ProfileReport, error: bool) -> tuple[str, ...]:
    best = report.best
    judged = best.judgement
    form = ".4g" if error else ".2%"
    return (
        report.profile,
        report.verdict,
        best.scheme,
        f"{judged.source:{form}}" if judged else "-",
        f"{judged.variant:{form}}" if judged else "-",
        f"{judged.drop * 100:+.2f} (<= {judged.upper_bound * 100:.2f})" if judged else "-",
        _size(best, report),
        f"{report.latency.p50:.3g} ms" if report.latency else "-",
        f"{report.float_latency.p50:.3g} ms" if report.float_latency else "-",
    )


def _size(best: Candidate, report: ProfileReport) -> str:
    if best.size_bytes is None:
        return "-"
    before = f" of {report.float_bytes / 1024:.0f}" if report.float_bytes else ""
    return f"{best.size_bytes / 1024:.0f}{before} KiB"


def _remarks(report: ProfileReport) -> Iterable[str]:
    """How the variant ran, or why there is none and what to do; then what each scheme said that was not taken."""
    best = report.best
    if report.variant is not None:
        yield f"{report.profile}: {report.target}"
        yield from _timing(report)
    else:
        yield f"{report.profile}: {report.verdict}: {best.scheme}: {best.sentence}. {report.hint}"
    for other in report.candidates:
        if other.scheme != best.scheme:
            yield f"{report.profile}: {other.scheme} not taken: {other.sentence}. {other.hint}".rstrip()


def _judged(report: ProfileReport, outcome: Conversion) -> Iterable[str]:
    """What is to be said of slices, and of the test split."""
    from edge_converters.explanations import slices, tested

    judged = report.best.judgement
    if judged is not None and not judged.failed_slices and (said := slices(judged, outcome.guard)):
        yield f"{report.profile}: {said}"
    if report.test is not None:
        yield f"{report.profile}: {tested(report.test, outcome.guard, outcome.error)}"


def _timing(report: ProfileReport) -> Iterable[str]:
    """What the latencies say and where they were measured, and whether all this was found in the cache."""
    from edge_converters.timings import describe

    figures = report.figures or {}
    if report.latency is not None:
        said = describe(report.comparison) if report.comparison else "something in software stands for the target"
        yield f"{report.profile}: {said}. Measured on: {figures['latency_p50'].source}"
    if report.from_cache is not None:
        yield f"{report.profile}: from cache, made and measured at {report.from_cache}"
