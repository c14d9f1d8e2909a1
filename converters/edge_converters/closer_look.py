"""What a report tells of a judged variant beside its verdict: how each layer fares, how worse inputs are answered."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_converters.drafts import Draft, Workshop
from edge_converters.errors import ConverterError
from edge_converters.files import stored_inputs
from edge_converters.layers import LayerError
from edge_converters.robustness.checkup import Subject, check
from edge_converters.robustness.findings import Robustness
from edge_converters.tasks import Task
from edge_converters.workers import WorkerDied
from edge_profiles.profile import Profile
from edge_profiles.schemes import Format

COMPARE_LAYERS: Final[dict[Format, Task]] = {
    "tflite": Task.COMPARE_TFLITE_LAYERS,
    "onnx": Task.COMPARE_ONNX_LAYERS,
}
SAMPLES: Final = 8
"""Of the calibration data; every layer has many values for each, and with nothing fused they take their time."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """What was seen; `robustness` is None where it was not asked for."""

    layers: tuple[LayerError, ...]
    robustness: Robustness | None


def look_closer(profile: Profile, draft: Draft, shop: Workshop) -> Look:
    """What changes no verdict.

    Raises:
        WorkerDied: the engine crashed on a file that it ran before.
    """
    return Look(_layers(profile, draft, shop), _robustness(profile, draft, shop))


def _layers(profile: Profile, draft: Draft, shop: Workshop) -> tuple[LayerError, ...]:
    shop.steps.say(f"{draft.recipe}: comparing layer by layer")
    samples = draft.file.path.with_name("layer-samples.npy")
    real = np.load(shop.floats.material.calibration)[:SAMPLES]
    np.save(samples, real)
    try:
        answer = shop.worker.call(
            COMPARE_LAYERS[profile.format],
            base=str(shop.floats.canonical[profile.format]),
            variant=str(draft.file.path),
            inputs=str(samples),
            stored=str(stored_inputs(draft.file, real, "layers")),
        )
    except WorkerDied:
        raise
    except ConverterError as error:
        _log.warning("%s is not compared layer by layer: %s", profile.name, error)
        return ()
    return tuple(LayerError(**each) for each in answer["layers"])


def _robustness(profile: Profile, draft: Draft, shop: Workshop) -> Robustness | None:
    if shop.checkup is None:
        return None
    base = Subject(shop.floats.files[profile.format], shop.floats.reference)
    own = Subject(draft.file, draft.real)
    try:
        return check(shop.checkup, base, own, shop.data, shop.metric, shop.worker, shop.steps)
    except WorkerDied:
        raise
    except ConverterError as error:  # a metric that a part of the samples does not suffice for, an engine's refusal
        return Robustness("input", 0, 0.0, 0.0, left_out=(f"everything: {error}",))
