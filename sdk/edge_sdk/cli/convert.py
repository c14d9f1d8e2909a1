"""`edge-sdk convert`: a model becomes a bundle with one proven variant for each hardware profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from edge_sdk.cli import conversion_options as given
from edge_sdk.cli import conversion_shown, options, recipe_options, screen

if TYPE_CHECKING:
    from edge_converters.datasets import Data
    from edge_converters.robustness.checkup import Extent
    from edge_converters.training import Training

EXIT_CODES: Final = {"pass": 0, "fail": 1, "undecidable": 8, "unreachable": 9}
"""By verdict; an unusable model, file or argument ends with 3."""


def convert(
    source: given.Source,
    profile: given.Profiles,
    calibration: given.Calibration,
    evaluation: given.Evaluation,
    test: given.Test = None,
    offset: given.Offset = 0.0,
    scale: given.Scale = 1.0,
    metric: given.Metric = None,
    costs: given.Costs = None,
    max_drop: given.MaxDrop = 0.01,
    slack: given.Slack = 0.02,
    slice_max_drop: given.SliceMaxDrop = None,
    prune: given.Prune = None,
    prune_pattern: given.PrunePattern = "unstructured",
    prune_channels: given.PruneChannels = None,
    factorise: given.Factorise = None,
    training: given.TrainingData = None,
    train: given.Train = None,
    effort: given.Effort = 0,
    budget: given.Seconds = 300.0,
    recipe: given.Recipes = None,
    search: given.Search = None,
    search_seconds: given.SearchSeconds = None,
    sampler: given.Sampler = "tpe",
    storage: given.Storage = None,
    study: given.Study = "edge-sdk",
    output: given.Output = None,
    model: given.Model = None,
    version: given.Version = 1,
    labels: given.Labels = None,
    seed: given.Seed = 0,
    latency: given.Latency = True,
    robustness: given.Robustness = False,
    input_kind: given.InputKind = None,
    report: given.Report = None,
    cache: given.Cache = True,
    as_json: options.Json = False,
) -> None:
    """Convert a model for hardware profiles and prove each variant on labelled data.

    Of a profile's recipes the first that does well on three tenths of the evaluation data is judged on the rest, once:
    each scheme as it is, then with more effort; `edge-sdk recipes list` shows them all.

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
    from edge_converters.identity import Identity, name_of
    from edge_converters.job import Method, Proof
    from edge_profiles.boards import load

    wishes = recipe_options.Wishes(prune, prune_pattern, prune_channels, factorise, effort, budget)
    search_plan = recipe_options.search_plan(search, search_seconds, sampler, storage, study)
    profiles = [load(each) for each in profile]
    name = ModelName(model) if model else name_of(source)
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
            identity=Identity(name, version, _labels(labels)),
            proof=Proof(Guard(max_drop, slack, slice_max_drop), metric, None if costs is None else read_costs(costs)),
            method=Method(
                climb=recipe_options.climb(wishes, recipe or [], search_plan),
                training=_training(training, train or [], data),
                latency=latency,
                robustness=_extent(input_kind) if robustness else None,
                seed=seed,
            ),
            page=report,
            cache=Cache(default_folder()) if cache else None,
            on_step=lambda what, done, total: bars.update(bar, description=what, completed=done, total=total),
        )
    if as_json:
        from edge_converters.reports import as_json as plain

        screen.show_json(plain(outcome))
    else:
        conversion_shown.show(outcome, report)
    raise typer.Exit(EXIT_CODES[outcome.verdict])


def _training(path: Path | None, steps: list[str], data: Data) -> Training | None:
    from edge_converters.datasets import read_training
    from edge_converters.errors import BadInput
    from edge_converters.training import Training, parse

    if path is None and not steps:
        return None
    if path is None:
        raise BadInput(f"--train {steps[0]} needs data to learn from", "Name it by --training: an .npz with x and y.")
    return Training(read_training(path, data), parse(steps))


def _extent(kind: str | None) -> Extent:
    from edge_converters.errors import BadInput
    from edge_converters.robustness.checkup import Extent
    from edge_converters.robustness.corruptions import InputKind

    if kind is not None and kind not in {*InputKind}:
        raise BadInput(f"there is no kind of input {kind!r}", f"There are {', '.join(InputKind)}.")
    return Extent(None if kind is None else InputKind(kind))


def _labels(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    from edge_converters.errors import BadInput

    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not a readable text file", "Write one class name a line, in UTF-8.") from error
