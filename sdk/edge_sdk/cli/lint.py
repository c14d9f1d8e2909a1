"""`edge-sdk lint`: what is wrong with a model, by operator, tensor and parameter, before any work starts."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk.cli import options, screen

if TYPE_CHECKING:
    from edge_converters.lint.findings import Finding
    from edge_converters.workers import Worker
    from edge_profiles.profile import Profile


def lint(
    models: Annotated[
        list[Path], typer.Argument(help="Keras files (.keras, .h5), SavedModel folders, .onnx or float .tflite files.")
    ],
    profile: Annotated[
        list[str] | None,
        typer.Option("--profile", help="Also what this hardware profile makes of it; more than once."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Tell what is wrong with models: every error and warning with its names and a hint.

    Nothing in a model file is run but the operators of its graph. `edge-sdk convert` refuses what has an error here.
    Ends with 0 if there is no error, else with 3.

    Example: edge-sdk lint model.onnx --profile hexagon-qnn
    """
    from edge_converters.workers import Worker
    from edge_profiles.boards import load
    from edge_sdk.errors import BadInput

    profiles = [load(each) for each in profile or ()]
    with Worker() as worker:
        found = {str(model): _findings(model, profiles, worker) for model in models}
    if as_json:
        screen.show_json([{"model": name, "findings": [asdict(each) for each in told]} for name, told in found.items()])
    else:
        _show(found)
    if any(each.severity == "error" for told in found.values() for each in told):
        raise typer.Exit(BadInput.exit_code)


def _findings(model: Path, profiles: list[Profile], worker: Worker) -> tuple[Finding, ...]:
    from edge_converters.errors import ConverterError
    from edge_converters.lint.findings import Code, error
    from edge_converters.lint.inspection import lint as run
    from edge_converters.sources import recognise

    try:
        source = recognise(model)
    except ConverterError as problem:
        return (error(Code.UNREADABLE, str(problem), hint=problem.hint),)
    with tempfile.TemporaryDirectory(prefix="edge-lint-") as folder:
        return run(source, profiles, Path(folder), worker)


def _show(found: dict[str, tuple[Finding, ...]]) -> None:
    for name, told in found.items():
        if not told:
            print(f"{name}: nothing to object to")
            continue
        errors = sum(each.severity == "error" for each in told)
        print(f"{name}: {errors} errors, {len(told) - errors} warnings")
        for each in told:
            where = f" [{each.profile}]" if each.profile else ""
            print(screen.harmless(f"  {each.severity} {each.code}{where}: {each.sentence}"))
            print(f"    {each.hint}")
    if not any(each.severity == "error" for told in found.values() for each in told):
        screen.say("Next: edge-sdk convert MODEL --profile NAME --calibration C.npz --evaluation E.npz")
