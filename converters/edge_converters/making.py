"""Model files by recipe: passes on the canonical float file, then its numeric scheme. What was made is taken again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from edge_contracts.ids import Digest
from edge_converters.errors import NotConvertible
from edge_converters.recipes import CANONICALISE, Call, Ranges, Recipe
from edge_converters.tasks import Task
from edge_converters.workers import Answer, Worker
from edge_profiles.schemes import Format

MAKE: Final[dict[Format, Task]] = {"tflite": Task.MAKE_TFLITE, "onnx": Task.MAKE_ONNX}


@dataclass(frozen=True)
class PassStep:
    """What a pass left: elements of weights, how many of them are zero, channels, layers."""

    name: str
    weights: int
    zeros: int
    channels: int
    layers: int
    multiplications: int = 0
    """Of the weighted layers, for one sample."""


@dataclass(frozen=True)
class WeightedLayer:
    """A layer of a float file: `operator` is the format's word, `weights` the elements of its weight."""

    name: str
    operator: str
    weights: int

    @property
    def short_name(self) -> str:
        """The part of its name that a person looks for: converters put whole paths of the source before it."""
        parts = self.name.split(";")[0].split("/")
        return "/".join(parts[-2:])


@dataclass(frozen=True)
class Made:
    """A file with what the passes before it did."""

    path: Path
    steps: tuple[PassStep, ...] = ()
    kept: tuple[WeightedLayer, ...] = ()
    """Layers that the scheme leaves in float."""


@dataclass(frozen=True)
class Material:
    """What passes and schemes may look at: calibration inputs as the float model takes them (.npy), and a seed."""

    calibration: Path
    seed: int = 0


def canonicalise(path: Path, kind: Format, material: Material, worker: Worker) -> Made:
    """The lossless passes on a float file that just left its route."""
    return _transformed(path, kind, CANONICALISE, material, worker)


def make_file(
    canonical: Path, kind: Format, recipe: Recipe, accelerator: str, material: Material, worker: Worker
) -> Made:
    """The file of a recipe.

    Raises:
        NotConvertible: the model does not reach the scheme, or a pass does not fit it.
    """
    floats = edit(canonical, kind, recipe.passes, material, worker)
    kept = _kept(floats.path, kind, recipe, worker) if recipe.keep else ()
    # a TFLite file is the same for every accelerator
    told = (
        {"model": str(floats.path)} if kind == "tflite" else {"canonical": str(floats.path), "accelerator": accelerator}
    )
    place = "" if kind == "tflite" else f"-{accelerator}"
    path = canonical.with_name(f"{recipe.scheme}-{recipe.digest.hex[:12]}{place}.{kind}")
    if not path.exists():
        asked: dict[str, Any] = {"scheme": recipe.scheme, "calibration": str(material.calibration), **told}
        if recipe.ranges is not Ranges.MIN_MAX:
            asked["ranges"] = _ranges(floats.path, kind, material, worker)
        if recipe.keep:
            asked["keep"] = list(recipe.keep)
        if recipe.coarse:
            asked["alike"] = True
        _write(path, worker, MAKE[kind], **asked)
    return Made(path, floats.steps, kept)


def layers_of(path: Path, kind: Format, worker: Worker) -> tuple[WeightedLayer, ...]:
    """Those of a float file, in order; asked once."""
    notes = _beside(path, "layers")
    if not notes.exists():
        notes.write_text(json.dumps(worker.call(Task.LIST_LAYERS, model=str(path), format=kind)["layers"]))
    return tuple(WeightedLayer(**each) for each in json.loads(notes.read_text()))


def _kept(path: Path, kind: Format, recipe: Recipe, worker: Worker) -> tuple[WeightedLayer, ...]:
    known = {layer.name: layer for layer in layers_of(path, kind, worker)}
    unknown = next((name for name in recipe.keep if name not in known), None)
    if unknown is not None:
        near = get_close_matches(unknown, known, 1, 0.3)
        guess = f"Did you mean {near[0]}? " if near else ""
        raise NotConvertible(
            f"the {kind} model has no layer with weights of the name {unknown!r}",
            f"{guess}The report's table of layers has their names.",
        )
    return tuple(known[name] for name in recipe.keep)


def edit(path: Path, kind: Format, passes: Sequence[Call], material: Material, worker: Worker) -> Made:
    """The float file after `passes`, one after the other: recipes that begin alike share the work.

    Raises:
        NotConvertible: a pass does not fit the model.
    """
    made = Made(path)
    for each in passes:
        after = _transformed(made.path, kind, (each,), material, worker)
        made = Made(after.path, (*made.steps, *after.steps[1:]) if made.steps else after.steps)
    return made


def _transformed(path: Path, kind: Format, passes: Sequence[Call], material: Material, worker: Worker) -> Made:
    plain = [{"name": call.name, **dict(call.parameters)} for call in passes]
    root = path.stem.partition("-")[0]  # the rest would make the name longer with each pass
    output = path.with_name(f"{root}-{_short([path.stem, plain])}.{kind}")
    notes, refusal = _beside(output, "steps"), _beside(output, "refusal")
    if refusal.exists():
        raise NotConvertible(*json.loads(refusal.read_text()))
    if not output.exists():
        asked = {"calibration": str(material.calibration), "seed": material.seed}
        try:
            answer = _write(output, worker, Task.TRANSFORM, model=str(path), format=kind, passes=plain, **asked)
        except NotConvertible as error:
            refusal.write_text(json.dumps([str(error), error.hint]))
            raise
        notes.write_text(json.dumps(answer["steps"]))
    return Made(output, tuple(PassStep(**step) for step in json.loads(notes.read_text())))


def _ranges(path: Path, kind: Format, material: Material, worker: Worker) -> dict[str, list[float]]:
    """Of the activations of a float file; asked once for all schemes."""
    notes = _beside(path, "ranges")
    if not notes.exists():
        answer = worker.call(
            Task.CHOOSE_RANGES,
            model=str(path),
            format=kind,
            calibration=str(material.calibration),
            seed=material.seed,
        )
        notes.write_text(json.dumps(answer["ranges"]))
    found: dict[str, list[float]] = json.loads(notes.read_text())
    return found


def _write(path: Path, worker: Worker, task: Task, **arguments: Any) -> Answer:
    unfinished = path.with_name(f"unfinished-{path.name}")
    answer = worker.call(task, output=str(unfinished), **arguments)
    unfinished.rename(path)
    return answer


def _beside(path: Path, what: str) -> Path:
    """Notes on a file; those of two formats lie in one folder."""
    return path.with_name(f"{path.name}.{what}.json")


def _short(plain: object) -> str:
    return Digest.of(json.dumps(plain, sort_keys=True).encode()).hex[:12]
