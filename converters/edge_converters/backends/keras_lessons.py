"""Steps of training on a Keras model: zeros are held, numbers rounded to int8, or a narrower student is taught.

Runs in a process of its own: that training is repeatable is a switch for the whole of TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from edge_converters.backends import channel, keras_network
from edge_converters.backends.keras_aims import choose_aim
from edge_converters.backends.keras_graph import functional
from edge_converters.backends.keras_heads import put_on, take_off
from edge_converters.backends.keras_learning import Learned, Part, Pupil, Room, answers, learn
from edge_converters.backends.keras_rounding import Simulation
from edge_converters.errors import BadInput, NotConvertible
from edge_converters.networks import Evidence, Network
from edge_converters.passes.batch_normalisation import fold_batch_normalisation
from edge_converters.passes.equalisation import equalise
from edge_converters.passes.magnitude_pruning import prune_by_magnitude
from edge_converters.passes.narrowing import narrow
from edge_converters.passes.surgeon import Pattern
from edge_converters.training import Distil, FineTune, Lesson, Prune, RoundAware, Step, from_plain


def train(
    source: str, samples: str, labelled: bool, steps: list[dict[str, Any]], seed: int, output: str
) -> dict[str, Any]:
    """Write the trained model to `output` (.keras); returns a lesson for each step.

    `samples` is an .npz with `x`, `y`, `validation_x`, `validation_y` and `calibration`, as the model takes them.

    Raises:
        BadInput: the file or its labels cannot be used.
        NotConvertible: the model is of a kind that is not trained, or a step finds nothing to take away.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    model = functional(_load(source))
    bare, head = take_off(model)
    asked = [from_plain(each) for each in steps]
    class_room = _Class(_room(bare, head.function, samples, labelled, seed), sum(each.epochs for each in asked))
    lessons = []
    channel.tell(0, class_room.epochs)
    for step in asked:
        bare, lesson = class_room.teach(bare, step)
        lessons.append(lesson)
    put_on(bare, head).save(output)
    return {"lessons": [asdict(each) for each in lessons]}


@dataclass(frozen=True)
class _Taught:
    model: Any
    pupil: Pupil
    """What is trained of it."""


@dataclass
class _Class:
    """Gives one lesson after the other."""

    room: Room
    epochs: int
    _over: int = 0

    def teach(self, model: Any, step: Step) -> tuple[Any, Lesson]:
        """The model after the step, and what it led to."""
        before = self._score(model)
        taught = _PREPARED[type(step)](model, step, self.room)
        found = learn(taught.pupil, self.room, epochs=step.epochs, rate=step.rate, told=self._tell)
        self._over += step.epochs
        return taught.model, _lesson(step, before, found, taught.model, self.room)

    def _score(self, model: Any) -> float:
        part = self.room.validation
        given = answers(tf.function(lambda x: model(x, training=False)), part.x)
        return self.room.aim.score(given, part.y if self.room.aim.labelled else part.taught)

    def _tell(self, epoch: int) -> None:
        channel.tell(self._over + epoch, self.epochs)


def _pruned(model: Any, step: Step, room: Room) -> _Taught:
    assert isinstance(step, Prune)
    pattern = Pattern(of=step.of, keep=step.keep)
    return _whole(_edited(model, room, lambda *of: prune_by_magnitude(*of, sparsity=step.sparsity, pattern=pattern)))


def _narrowed(model: Any, step: Step, room: Room) -> _Taught:
    assert isinstance(step, Distil)
    return _whole(_edited(model, room, lambda *of: narrow(*of, width=step.width)))


def _rounded(model: Any, step: Step, room: Room) -> _Taught:
    assert isinstance(step, RoundAware)
    ready = _edited(_edited(model, room, fold_batch_normalisation), room, equalise)
    return _Taught(ready, Simulation(ready, room.calibration).pupil)


_PREPARED: Final[dict[type[Step], Callable[[Any, Step, Room], _Taught]]] = {
    Distil: _narrowed,
    Prune: _pruned,
    FineTune: lambda model, *_: _whole(model),
    RoundAware: _rounded,
}
"""The model as each step begins to train it."""


def _whole(model: Any) -> _Taught:
    """Trained as it is, batch normalisation and dropout included."""
    return _Taught(
        model, Pupil(lambda x, training: model(x, training=training), model.trainable_variables, model.variables)
    )


def _edited(model: Any, room: Room, edit: Callable[[Network, Evidence], Network]) -> Any:
    network = keras_network.read(model)
    try:
        network = edit(network, Evidence(room.calibration, keras_network.runner(model), room.seed))
    except ValueError as error:
        message = f"the training step is not possible: {error}"
        raise NotConvertible(message, "Ask for less, or leave the step out.") from error
    return keras_network.write(model, network)


def _lesson(step: Step, before: float, found: Learned, model: Any, room: Room) -> Lesson:
    layers = keras_network.read(model).weighted_layers
    settings = asdict(step) | {"rate": found.rate}
    return Lesson(
        step=str(step),
        settings=settings,
        measure=room.aim.measure,
        validated=len(room.validation.x),
        before=before,
        changed=found.start,
        after=found.end,
        epochs=found.epochs,
        best=found.best,
        weights=sum(layer.weight.size for layer in layers),
        zeros=int(sum((layer.weight == 0).sum() for layer in layers)),
    )


def _room(bare: Any, head: str, samples: str, labelled: bool, seed: int) -> Room:
    with np.load(samples) as arrays:
        given = {name: arrays[name] for name in arrays}
    forward = tf.function(lambda x: bare(x, training=False))
    parts = [
        Part(given[f"{name}x"], given[f"{name}y"], answers(forward, given[f"{name}x"])) for name in ("", "validation_")
    ]
    labels = np.concatenate([part.y for part in parts]) if labelled else None
    aim = choose_aim(head, labels, np.concatenate([part.taught for part in parts]))
    return Room(parts[0], parts[1], given["calibration"], aim, seed)


class _DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]  # Keras has no types
    """Reads what Keras 2 wrote: with a number of groups, which is always 1."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return keras.layers.DepthwiseConv2D.from_config(
            {name: each for name, each in config.items() if name != "groups"}
        )


def _load(source: str) -> Any:
    """By Keras 3, files of Keras 2 too."""
    try:
        model = keras.models.load_model(source, compile=False, custom_objects={"DepthwiseConv2D": _DepthwiseConv2D})
    except Exception as error:  # Keras raises anything on a file it does not understand
        words = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise BadInput(
            f"{source} cannot be trained: Keras {keras.__version__} does not read it: {words}",
            "Save it anew with Keras 3; or train it yourself and convert the result without --train.",
        ) from error
    model.trainable = True
    return model
