"""`edge-sdk convert`: a model becomes a bundle with one proven variant for each hardware profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from edge_sdk.cli import conversion_shown, options, screen

if TYPE_CHECKING:
    from edge_converters.datasets import Data
    from edge_converters.robustness.checkup import Extent
    from edge_converters.training import Training

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
    training: Annotated[
        Path | None, typer.Option(help=".npz with x and y, for --train. Without y the source's own answers are learnt.")
    ] = None,
    train: Annotated[
        list[str] | None,
        typer.Option(
            help="Train a Keras source before it is converted: distil=0.5 (a student half as wide), prune=0.8 or "
            "prune=2:4 (zeros are held), fine-tune, qat (rounded as int8 will be). More than once."
        ),
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
    seed: Annotated[int, typer.Option(help="Of training, and of the random inputs in the parity check.")] = 0,
    latency: Annotated[bool, typer.Option(help="Time variants beside the float model: some seconds each.")] = True,
    robustness: Annotated[
        bool, typer.Option(help="Try each judged variant on worse inputs beside its float model: up to minutes each.")
    ] = False,
    input_kind: Annotated[
        str | None,
        typer.Option(help="For --robustness: image, spectrogram or vector. Else: told from the input's shape."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="HTML file for the report, whatever the verdict. A bundle always holds one.")
    ] = None,
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
            robustness=_extent(input_kind) if robustness else None,
            page=report,
            training=_training(training, train or [], data),
            cache=Cache(default_folder()) if cache else None,
            on_step=lambda what, done, total: bars.update(bar, description=what, completed=done, total=total),
        )
    if as_json:
        from edge_converters.reports import as_json as plain

        screen.show_json(plain(outcome))
    else:
        conversion_shown.show(outcome, report)
    raise typer.Exit(EXIT_CODES[outcome.verdict])


def _name_of(source: Path) -> str:
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in source.stem.lower())
    return kept.strip("-") or "model"


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
