"""Labelled data from `.npz` files or arrays: checked, kept apart, split the same way every time.

Splits never share a sample: calibration (ranges), ranking (choosing among candidates), decision (the verdict) and,
if it is given, test (figures for the report: nothing is chosen or decided by it).
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_contracts.ids import Digest
from edge_contracts.manifest import Preprocessing
from edge_converters.errors import BadInput

Array = npt.NDArray[Any]
RealArray = npt.NDArray[np.float32]

RANKING_SHARE: Final = 0.3
LEAST_EVALUATION: Final = 16
"""Below this there is nothing to decide and too little for golden samples."""
LEAST_TRAINING: Final = 64
"""Below this the part that training is stopped by says nothing."""
FEW_CALIBRATION: Final = 16
"""Fewer seldom show the ranges of all that a model will see."""
TOLD_REPETITION: Final = 0.01
"""Of the evaluation samples: more that repeat others make a bound narrower than it is."""
MOST_CALIBRATION: Final = 256
"""More samples do not move a min-max range noticeably and cost time; the first by digest are taken."""
LARGEST: Final = float(np.finfo(np.float32).max) / 4
"""Of a model's inputs: the span of twice as wide a box must be a number, too."""
SLICE: Final = "slice_"
"""How the name of an array begins that says for each sample which group it belongs to."""
_SAVE: Final = "Save it with numpy.savez(file, x=samples, y=labels)."


@dataclass(frozen=True)
class Samples:
    """`x` as it was given, [n, ...]; `y` whole-number classes [n], real values [n, ...] or None.

    `slices`: by name (`sensor`), whole numbers or words [n] that say which group each sample belongs to.
    """

    x: Array
    y: Array | None
    slices: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: npt.NDArray[np.intp]) -> Samples:
        """These samples, in this order."""
        slices = {name: groups[rows] for name, groups in self.slices.items()}
        return Samples(self.x[rows], None if self.y is None else self.y[rows], slices)


@dataclass(frozen=True)
class Data:
    """What a conversion may look at. `evaluation` is ranking and decision together."""

    calibration: Samples
    evaluation: Samples
    ranking_rows: npt.NDArray[np.intp]
    decision_rows: npt.NDArray[np.intp]
    preprocessing: Preprocessing
    digests: dict[str, Digest]
    test: Samples | None = None
    remarks: tuple[str, ...] = ()
    """What a reader of the verdict should know of the data."""

    @property
    def counts(self) -> dict[str, int]:
        """Samples in each split."""
        counts = {"calibration": len(self.calibration), "ranking": len(self.ranking_rows)}
        counts["decision"] = len(self.decision_rows)
        return counts if self.test is None else {**counts, "test": len(self.test)}

    def model_input(self, x: Array) -> RealArray:
        """Given values as the float model takes them: (x - offset) * scale."""
        real = np.asarray(x, np.float32)
        if self.preprocessing == Preprocessing():
            return real
        return (real - np.float32(self.preprocessing.offset)) * np.float32(self.preprocessing.scale)


def read_data(
    calibration: Path, evaluation: Path, preprocessing: Preprocessing | None = None, test: Path | None = None
) -> Data:
    """The data of `.npz` files: `x`, and in evaluation and test `y` (without it, agreement with the source is judged).

    Arrays `slice_<name>` say for each sample which group it belongs to: a sensor, a site, a speaker.

    Raises:
        BadInput: not readable, an array missing or of the wrong kind, or a sample in two files.
    """
    names = (str(calibration), str(evaluation), str(test))
    held = None if test is None else _read(test)
    return make_data(_read(calibration), _read(evaluation), preprocessing, names, held)


def make_data(
    calibration: Samples,
    evaluation: Samples,
    preprocessing: Preprocessing | None = None,
    names: tuple[str, str, str] = ("the calibration data", "the evaluation data", "the test data"),
    test: Samples | None = None,
) -> Data:
    """The same from arrays.

    Raises:
        BadInput: as `read_data`.
    """
    given = [
        (samples, name)
        for samples, name in zip((calibration, evaluation, test), names, strict=True)
        if samples is not None
    ]
    for samples, name in given:
        _check(samples, name)
        if samples.x.shape[1:] != calibration.x.shape[1:]:
            raise BadInput(
                f"a sample is {calibration.x.shape[1:]} in {names[0]} and {samples.x.shape[1:]} in {name}",
                "Prepare both in the same way.",
            )
    if len(evaluation) < LEAST_EVALUATION:
        raise BadInput(
            f"{names[1]} holds {len(evaluation)} samples, at least {LEAST_EVALUATION} are needed",
            "Give more labelled samples; some hundreds let a loss of one point be seen.",
        )
    if test is not None and (test.y is None) != (evaluation.y is None):
        raise BadInput(f"only one of {names[1]} and {names[2]} has y", "Give both labels, or none.")
    keys = [_keys(samples.x) for samples, _ in given]
    for (one, own), (other, theirs) in combinations(zip(names, keys, strict=False), 2):
        _refuse_overlap(own, theirs, (one, other))
    order = np.argsort(np.array(keys[1]))
    cut = _cut(np.array(keys[1])[order])
    chosen = np.argsort(np.array(keys[0]))[:MOST_CALIBRATION]
    preprocessing = preprocessing or Preprocessing()
    _check_range(preprocessing, [(samples.x, name) for samples, name in given])
    return Data(
        calibration=calibration.take(chosen),
        evaluation=evaluation,
        ranking_rows=np.sort(order[:cut]),
        decision_rows=np.sort(order[cut:]),
        preprocessing=preprocessing,
        digests={name: _digest(each) for name, each in zip(("calibration", "evaluation", "test"), keys, strict=False)},
        test=test,
        remarks=tuple(_remarks(keys[0], keys[1])),
    )


def _cut(keys: npt.NDArray[np.str_]) -> int:
    """How many of the sorted samples rank: about their share, and none of them is in the rest once more.

    Raises:
        BadInput: so many are the same that two parts cannot be told apart.
    """
    starts = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    if len(starts) + 1 < LEAST_EVALUATION:
        raise BadInput(
            f"of {len(keys)} evaluation samples only {len(starts) + 1} differ, at least {LEAST_EVALUATION} are needed",
            "Give more labelled samples; some hundreds let a loss of one point be seen.",
        )
    wanted = int(len(keys) * RANKING_SHARE)
    return int(starts[np.argmin(np.abs(starts - wanted))])


def _check_range(preprocessing: Preprocessing, given: list[tuple[Array, str]]) -> None:
    """That no input is infinite, or the same for all, after preprocessing.

    Raises:
        BadInput: one is.
    """
    offset, scale = preprocessing.offset, preprocessing.scale
    if not (np.isfinite(offset) and np.isfinite(scale) and scale):
        raise BadInput(
            f"the offset is {offset:g} and the scale {scale:g}", "Give numbers; the model takes (x - offset) * scale."
        )
    for x, name in given:
        ends = ((float(x.min()) - offset) * scale, (float(x.max()) - offset) * scale)
        if max(map(abs, ends)) > LARGEST:
            raise BadInput(
                f"{name}: inputs range over {ends[0]:.4g} to {ends[1]:.4g}, beyond what float32 holds",
                "Prepare the samples as they were for training.",
            )


def _remarks(calibration: list[str], evaluation: list[str]) -> Iterator[str]:
    if len(calibration) < FEW_CALIBRATION:
        yield f"{len(calibration)} calibration samples seldom show the ranges of all inputs; some hundreds do."
    repeated = len(evaluation) - len(set(evaluation))
    if repeated > TOLD_REPETITION * len(evaluation):
        yield (
            f"{repeated} of {len(evaluation)} evaluation samples repeat others: bounds take them for samples of their "
            "own and are narrower than they should be."
        )


def read_training(path: Path, data: Data) -> Samples:
    """The training data of an `.npz` file: `x` and, unless the source's own answers are to be learnt, `y`.

    Raises:
        BadInput: as `make_training`; or not readable.
    """
    return make_training(_read(path), data, str(path))


def make_training(samples: Samples, data: Data, name: str = "the training data") -> Samples:
    """The same from arrays, in an order of its own.

    Raises:
        BadInput: an array of the wrong kind, too few samples, or one that is in the other `data` too.
    """
    _check(samples, name)
    if samples.x.shape[1:] != data.calibration.x.shape[1:]:
        shapes = f"{data.calibration.x.shape[1:]} in the calibration data and {samples.x.shape[1:]} in {name}"
        raise BadInput(f"a sample is {shapes}", "Prepare both in the same way.")
    if len(samples) < LEAST_TRAINING:
        words = f"{name} holds {len(samples)} samples, at least {LEAST_TRAINING} are needed"
        raise BadInput(words, "Give more, or leave training out.")
    keys = _keys(samples.x)
    others = {"the calibration data": data.calibration, "the evaluation data": data.evaluation}
    for other, split in (others | ({} if data.test is None else {"the test data": data.test})).items():
        _refuse_overlap(_keys(split.x), keys, (other, name))
    return samples.take(np.argsort(np.array(keys)))


def digest_of(samples: Samples) -> Digest:
    """The digest of all inputs, whatever their order: as in `Data.digests`."""
    return _digest(_keys(samples.x))


def _read(path: Path) -> Samples:
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise BadInput(f"{path} is not readable: it is no .npz file, or was cut short", _SAVE)
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                names = list(arrays.keys())
                if "x" not in names:
                    raise BadInput(f"{path} has no array x (it has: {', '.join(names) or 'nothing'})", _SAVE)
                slices = {name.removeprefix(SLICE): arrays[name] for name in names if name.startswith(SLICE)}
                return Samples(arrays["x"], _labels(arrays["y"], path) if "y" in names else None, slices)
    except OSError as error:
        raise BadInput(f"{path} is not readable: {error.strerror or error}", "Check the path.") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        # NumPy's word for an array of Python objects, which only pickle could read, is a ValueError
        words = "x and y must be arrays of numbers" if "allow_pickle" in str(error) else f"it is damaged ({error})"
        raise BadInput(f"{path} is not readable: {words}", _SAVE) from error


def _labels(y: Array, path: Path) -> Array:
    if y.dtype.kind == "f" and y.ndim and np.isfinite(y).all():
        return y.astype(np.float32)
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise BadInput(
            f"{path}: y is {y.dtype} of shape {y.shape}; labels are whole numbers, one a sample, or finite floats",
            "Save class numbers or true values; or leave y out, then agreement with the source model is judged.",
        )
    return y.astype(np.int64)


def _check(samples: Samples, name: str) -> None:
    x = samples.x
    if x.dtype.kind not in "fiu":
        raise BadInput(f"{name}: x is {x.dtype}, not numbers", "Save floats or integers.")
    if x.ndim < 2 or len(x) == 0:
        raise BadInput(f"{name}: x has the shape {x.shape}", "Put the samples first: [samples, ...].")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        row = int(np.argwhere(~np.isfinite(x))[0][0])
        raise BadInput(f"{name}: sample {row} of x holds NaN or infinity", "Remove or repair that sample.")
    if samples.y is not None and len(samples.y) != len(x):
        raise BadInput(f"{name}: {len(x)} samples in x and {len(samples.y)} labels in y", "Save one label a sample.")
    for group, values in samples.slices.items():
        if values.shape != (len(x),) or values.dtype.kind not in "iubU":
            raise BadInput(
                f"{name}: {SLICE}{group} is {values.dtype} of shape {values.shape}, not a group for each sample",
                "Save whole numbers or words; put real values into bins first.",
            )


def _keys(x: Array) -> list[str]:
    """One digest for each sample's values, the same whatever number type they were saved in."""
    return [hashlib.sha256(np.ascontiguousarray(row, np.float32).tobytes()).hexdigest() for row in x]


def _refuse_overlap(first: list[str], second: list[str], names: tuple[str, str]) -> None:
    known = set(first)
    both = [row for row, key in enumerate(second) if key in known]
    if both:
        raise BadInput(
            f"{len(both)} of {len(second)} samples of {names[1]} are also in {names[0]} (first: number {both[0]})",
            "Take them out of one: a model is not judged by data that it was made with or chosen by.",
        )


def _digest(keys: list[str]) -> Digest:
    return Digest.of("".join(sorted(keys)).encode())
