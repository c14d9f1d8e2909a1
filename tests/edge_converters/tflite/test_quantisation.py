"""Variants from a float TFLite file: the converter's own, number by number; with ranges and layers chosen by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge_converters.backends import tflite_files, tflite_network
from edge_converters.backends.tflite_compaction import compact, with_names_of
from edge_converters.backends.tflite_weights import LARGEST, SMALLEST_RANGE, by_channel
from edge_converters.errors import NotConvertible
from edge_converters.networks import Evidence
from edge_converters.passes.dead_channels import remove_dead_channels
from edge_converters.tasks import Task
from edge_converters.workers import Worker
from tests.edge_converters.tflite.conftest import SCHEMES, SOURCES, Model, answers, stored

pytestmark = [pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Maker:
    """Makes variants of a float file in the child that loads TensorFlow."""

    worker: Worker
    folder: Path
    made: list[bytes] = field(default_factory=list)

    def __call__(self, model: Model, scheme: str, content: bytes | None = None, **wishes: Any) -> bytes:
        source, output = self.folder / "source.tflite", self.folder / "variant.tflite"
        source.write_bytes(model.content if content is None else content)
        paths = {"model": str(source), "calibration": str(model.folder / "samples.npy"), "output": str(output)}
        self.worker.call(Task.MAKE_TFLITE, scheme=scheme, **paths, **wishes)
        return output.read_bytes()


@pytest.fixture
def make(worker: Worker, tmp_path: Path) -> Maker:
    return Maker(worker, tmp_path)


def operators(content: bytes) -> list[tuple[Any, ...]]:
    """Each operator with the numbers of its constants and the scales and zero points of all its tensors."""
    model = tflite_files.unpack(content)
    (graph,) = model.subgraphs
    listed = []
    for operator in graph.operators:
        tensors = [graph.tensors[int(place)] for place in (*operator.inputs, *operator.outputs)]
        values = [tflite_files.constant(model, tensor) for tensor in tensors]
        listed.append((
            tflite_files.word(model, operator),
            [None if value is None else value.tolist() for value in values],
            [_list(each.quantization and each.quantization.scale) for each in tensors],
            [_list(each.quantization and each.quantization.zeroPoint) for each in tensors],
        ))  # fmt: skip
    return listed


def inside(content: bytes, sample: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    """Real values of the tensors with these names."""
    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=kernels, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    interpreter.set_tensor(entry["index"], stored(sample, entry)[None])
    interpreter.invoke()
    seen = {}
    for detail in interpreter.get_tensor_details():
        if detail["name"] in names:
            (scale, zero), got = detail["quantization"], interpreter.get_tensor(detail["index"])
            seen[detail["name"]] = (got.astype(np.float64) - zero) * (scale or 1.0)
    return seen


def _list(values: Any) -> list[float]:
    return [] if values is None else np.asarray(values).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", SOURCES)
def test_a_variant_of_the_float_file_is_the_one_the_converter_makes_of_the_source(models, make, name, scheme):
    model = models[name]
    ours, theirs = make(model, scheme), model.by_the_converter(scheme)

    assert operators(ours) == operators(theirs)
    for delegate in (False, True):
        np.testing.assert_array_equal(
            answers(ours, model.samples[:3], delegate=delegate), answers(theirs, model.samples[:3], delegate=delegate)
        )


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["int8", "int16x8"])
def test_a_range_given_by_hand_takes_the_place_of_the_calibrated_one(models, make, scheme):
    model = models["keyword"]
    network = tflite_network.read(model.content)
    first, second = (layer.outputs[0] for layer in network.layers[:2])

    def steps(content: bytes) -> list[float]:
        scales = [entry[2][-1][0] for entry in operators(content)[:2]]
        return [scale * (255 if scheme == "int8" else 32767) for scale in scales]

    free, held = steps(make(model, scheme)), steps(make(model, scheme, ranges={first: [0.0, 7.5]}))

    assert held[0] == pytest.approx(7.5, rel=1e-4)
    assert free[0] != pytest.approx(7.5, rel=0.1)
    assert held[1] == free[1]
    with pytest.raises(NotConvertible, match="no tensor nowhere"):
        make(model, scheme, ranges={first: [0.0, 1.0], second: [0.0, 1.0], "nowhere": [0.0, 1.0]})


@pytest.mark.slow
def test_layers_kept_in_float_are_so_and_the_answers_come_nearer(models, make):
    model = models["keyword"]
    network = tflite_network.read(model.content)
    kept = [layer.name for layer in network.weighted_layers[:6]]
    whole, mixed = make(model, "int8"), make(model, "int8", keep=kept)

    words = [entry[0] for entry in operators(mixed)]
    assert words[:8] == ["DEQUANTIZE", *["CONV_2D", "DEPTHWISE_CONV_2D"] * 3, "QUANTIZE"]
    assert [entry[0] for entry in operators(whole)] == [layer.operator for layer in network.layers]
    truth = answers(model.content, model.samples)
    errors = [np.square(answers(each, model.samples) - truth).mean() for each in (whole, mixed)]
    assert errors[1] < errors[0]
    with pytest.raises(NotConvertible, match="no tensor nowhere"):
        make(model, "int8", keep=["nowhere"])


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_can_look_inside_a_variant_by_the_names_of_its_float_file(models, make, scheme):
    """Each inner tensor is near the one that bears its name, and nearer than any other of the same shape."""
    model = models["keyword"]
    network = tflite_network.read(model.content)
    names = [layer.outputs[0] for layer in network.layers]
    opened = with_names_of(model.content, make(model, scheme))

    truth, seen = (inside(each, model.samples[0], names) for each in (model.content, opened))
    for name in names:
        like = [other for other in names if truth[other].shape == truth[name].shape]
        assert min(like, key=lambda other: np.abs(seen[name] - truth[other]).mean()) == name
    with pytest.raises(ValueError, match="not made from this float file"):
        with_names_of(models["machine"].content, opened)


@pytest.mark.slow
def test_the_person_model_without_its_dead_channels_is_small_and_answers_the_same(models, make):
    model = models["person"]
    network = tflite_network.read(model.content)
    evidence = Evidence(model.samples[:12], tflite_network.runner(model.content))
    lean = tflite_network.write(model.content, remove_dead_channels(network, evidence))

    held_back = model.samples[12:16]
    np.testing.assert_allclose(answers(lean, held_back), answers(model.content, held_back), atol=1e-5)
    assert len(make(model, "int8", content=lean)) <= 110_000 < len(make(model, "int8"))


@pytest.mark.slow
def test_dense_layers_with_one_scale_make_the_anomaly_file_small_enough(models, make):
    """Those whose channels are most alike; the answers lie hardly further from the float model's."""
    model = models["machine"]
    fine, coarse = make(model, "int8"), make(model, "int8", alike=True)

    scales = [len(entry[2][1]) for entry in operators(coarse) if entry[0] == "FULLY_CONNECTED"]
    assert scales == [128, 128, 128, 128, 8, 1, 1, 1, 1, 1], "the bottleneck's 8 channels are alike, and not worth it"
    assert len(coarse) <= 280_000 < len(fine)
    truth = answers(model.content, model.samples)
    errors = [np.abs(answers(each, model.samples) - truth).mean() for each in (fine, coarse)]
    assert errors[1] < 1.2 * errors[0]
    for delegate in (False, True):
        assert np.isfinite(answers(coarse, model.samples, delegate=delegate)).all()
    with pytest.raises(NotConvertible, match="nowhere: no dense layer with int8 weights"):
        make(model, "int8", coarse=["nowhere"])


@pytest.mark.slow
def test_a_scheme_that_cannot_do_a_wish_refuses_it(models, make):
    for scheme in ("fp32", "fp16", "dynamic"):
        with pytest.raises(NotConvertible, match=f"{scheme} cannot take 'ranges'") as refusal:
            make(models["machine"], scheme, ranges={"x": [0.0, 1.0]})
        assert "int8" in refusal.value.hint
    for wish in ("keep", "coarse"):
        with pytest.raises(NotConvertible, match=f"int16x8 cannot take '{wish}'"):
            make(models["machine"], "int16x8", **{wish: ["x"]})


@pytest.mark.slow
def test_fp32_is_the_float_file_made_compact(models, make):
    assert make(models["machine"], "fp32") == compact(models["machine"].content)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_file_that_was_edited_takes_every_scheme(models, make, scheme):
    """With its first dense layer's units in another order, the answers stay as near."""
    model = models["machine"]
    network = tflite_network.read(model.content)
    one, two = network.layers[:2]
    order = np.random.default_rng(0).permutation(len(one.weight))
    shuffled = network.replacing(
        one.with_constants(weight=one.weight[order], bias=one.bias[order]),
        two.with_constants(weight=two.weight[:, order]),
    )
    made = make(model, scheme, content=tflite_network.write(model.content, shuffled))

    truth, stock = answers(model.content, model.samples), answers(model.by_the_converter(scheme), model.samples)
    error, stock_error = (np.abs(each - truth).mean() for each in (answers(made, model.samples), stock))
    assert error < 1.05 * stock_error


@given(
    arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=2, max_dims=4, max_side=6),
        elements=st.floats(-1e4, 1e4, width=32, allow_subnormal=False),
    ),
    st.data(),
)
def test_weights_by_channel_are_off_by_half_a_step_at_most(weight, data):
    axis = data.draw(st.integers(0, weight.ndim - 1))
    kept, scales = by_channel(weight, axis)
    steps = scales.reshape([-1 if each == axis else 1 for each in range(weight.ndim)]).astype(np.float64)

    assert np.abs(kept.astype(int)).max() <= LARGEST
    assert (np.abs(kept * steps - weight) <= 0.5 * steps * (1 + 1e-5)).all()
    assert (scales >= np.float32(SMALLEST_RANGE / LARGEST)).all()
