"""The options of `edge-sdk convert`, in the groups in which `--help` shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

DATA: Final = "Data"
GUARD: Final = "Guard: what may be lost"
SMALLER: Final = "A smaller model"
RECIPE: Final = "The way to a good recipe"
SEARCH: Final = "Search, with the extra `search` installed"
OUTPUT: Final = "What comes out"

Source = Annotated[Path, typer.Argument(help="Keras file, SavedModel folder, .onnx or float .tflite file.")]
Profiles = Annotated[list[str], typer.Option("--profile", help="Hardware profile or its file; more than once.")]

Calibration = Annotated[
    Path, typer.Option(help=".npz with x: samples that ranges are taken from.", rich_help_panel=DATA)
]
Evaluation = Annotated[
    Path, typer.Option(help=".npz with x and y; without y, agreement with the source counts.", rich_help_panel=DATA)
]
Test = Annotated[
    Path | None, typer.Option(help=".npz as --evaluation: for the report, nothing rests on it.", rich_help_panel=DATA)
]
Offset = Annotated[float, typer.Option(help="The model takes (x - offset) * scale.", rich_help_panel=DATA)]
Scale = Annotated[float, typer.Option(help="See --offset.", rich_help_panel=DATA)]

Metric = Annotated[
    str | None,
    typer.Option(
        help="accuracy, top-3, f1, auc, auc-reconstruction, r2, rmse, rmse-reconstruction, map50, agreement, or "
        "your own: file.py:function. Else: what fits the model.",
        rich_help_panel=GUARD,
    ),
]
Costs = Annotated[
    Path | None,
    typer.Option(help="Costs of errors, .toml or .csv: a row for each true class.", rich_help_panel=GUARD),
]
MaxDrop = Annotated[
    float, typer.Option(min=0, max=1, help="Accuracy that may be lost, as a share.", rich_help_panel=GUARD)
]
Slack = Annotated[
    float, typer.Option(min=0, max=1, help="What the drop's 95 % bound may exceed it by.", rich_help_panel=GUARD)
]
SliceMaxDrop = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="What a class or slice_<name> of the evaluation may lose. Else: 3 x --max-drop.",
        rich_help_panel=GUARD,
    ),
]

Prune = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Make this share of all weights zero, without training: 0.5 is half.",
        rich_help_panel=SMALLER,
    ),
]
PrunePattern = Annotated[
    str,
    typer.Option(metavar="PATTERN", help="Of --prune: unstructured, block-4 or 2:4.", rich_help_panel=SMALLER),
]
PruneChannels = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Take out whole channels that do this share of all multiplications.",
        rich_help_panel=SMALLER,
    ),
]
Factorise = Annotated[
    float | None,
    typer.Option(
        metavar="ENERGY",
        help="Split layers in two thinner ones that keep this share of their answers' variance: 0.995.",
        rich_help_panel=SMALLER,
    ),
]
TrainingData = Annotated[
    Path | None,
    typer.Option(
        "--training",
        help=".npz with x and y, for --train. Without y the source's own answers are learnt.",
        rich_help_panel=SMALLER,
    ),
]
Train = Annotated[
    list[str] | None,
    typer.Option(
        help="Train a Keras source before it is converted: distil=0.5 (a student half as wide), prune=0.8 or "
        "prune=2:4 (zeros are held), fine-tune, qat (rounded as int8 will be). More than once.",
        rich_help_panel=SMALLER,
    ),
]

Effort = Annotated[
    int,
    typer.Option(min=0, help="Leave out so many recipes of each scheme, the cheapest first.", rich_help_panel=RECIPE),
]
Seconds = Annotated[
    float,
    typer.Option(
        "--budget", min=0, metavar="SECONDS", help="For the way to a recipe, each profile.", rich_help_panel=RECIPE
    ),
]
Recipes = Annotated[
    list[Path] | None,
    typer.Option(
        "--recipe",
        metavar="FILE",
        help="A recipe of your own, .toml, in place of all others; more than once: tried in order.",
        rich_help_panel=RECIPE,
    ),
]

Search = Annotated[
    int | None,
    typer.Option(min=1, metavar="TRIALS", help="Search: try so many recipes.", rich_help_panel=SEARCH),
]
SearchSeconds = Annotated[
    float | None,
    typer.Option(min=0, metavar="SECONDS", help="Propose no further recipe after this time.", rich_help_panel=SEARCH),
]
Sampler = Annotated[
    str, typer.Option(metavar="NAME", help="Who proposes: grid, random, tpe or nsga2.", rich_help_panel=SEARCH)
]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Database of the study, as sqlite:///study.db: commands that name the same one share the trials, and a "
        "search that was broken off goes on.",
        rich_help_panel=SEARCH,
    ),
]
Study = Annotated[str, typer.Option(metavar="NAME", help="Of the search in --storage.", rich_help_panel=SEARCH)]

Output = Annotated[
    Path | None, typer.Option(help="Folder of the bundle. Else: <model>-<version>.bundle", rich_help_panel=OUTPUT)
]
Model = Annotated[
    str | None, typer.Option(help="The model's name. Else: made from the source's.", rich_help_panel=OUTPUT)
]
Version = Annotated[int, typer.Option(min=1, help="The release's version number.", rich_help_panel=OUTPUT)]
Labels = Annotated[
    Path | None,
    typer.Option(help="Text file with one class name a line: the answers are classes.", rich_help_panel=OUTPUT),
]
Seed = Annotated[
    int,
    typer.Option(help="Of training, search, and the random inputs in the parity check.", rich_help_panel=OUTPUT),
]
Latency = Annotated[
    bool, typer.Option(help="Time variants beside the float model: some seconds each.", rich_help_panel=OUTPUT)
]
Robustness = Annotated[
    bool,
    typer.Option(
        help="Try each judged variant on worse inputs beside its float model: up to minutes each.",
        rich_help_panel=OUTPUT,
    ),
]
InputKind = Annotated[
    str | None,
    typer.Option(
        help="For --robustness: image, spectrogram or vector. Else: told from the input's shape.",
        rich_help_panel=OUTPUT,
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        help="HTML file for the report, whatever the verdict. A bundle always holds one.", rich_help_panel=OUTPUT
    ),
]
Cache = Annotated[
    bool,
    typer.Option(
        help="Take what was made before of the same inputs. EDGE_SDK_CACHE names the folder.", rich_help_panel=OUTPUT
    ),
]
