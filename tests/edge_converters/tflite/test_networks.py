"""A float TFLite file read as a network, edited and written back: what no edit touches computes the same bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_converters.backends import tflite_files, tflite_network
from edge_converters.backends.tflite_layers import same_pads
from edge_converters.channel_groups import find_groups, remove
from edge_converters.errors import NotConvertible
from edge_converters.networks import Evidence, Fused, Kind, Layer, Network, Window
from edge_converters.passes.low_rank import factorise
from tests.edge_converters.tflite.conftest import SOURCES, answers

DIGITS = Path(__file__).parents[2] / "support/models/digits-fp32.tflite"


@pytest.fixture
def digits() -> bytes:
    """Two convolutions, a flattening, a dense layer and a softmax."""
    return DIGITS.read_bytes()


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 1, (6, 8, 8, 1)).astype(np.float32)


def of_kind(network: Network, kind: Kind) -> list[Layer]:
    return [layer for layer in network.layers if layer.kind is kind]


def without(network: Network, name: str, *instead: Layer) -> Network:
    layers = (part for layer in network.layers for part in (instead if layer.name == name else (layer,)))
    return replace(network, layers=tuple(layers))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("delegate", [False, True])
def test_a_real_model_comes_back_as_it_was(models, name, delegate):
    content, samples = models[name].content, models[name].samples[:4]
    network = tflite_network.read(content)
    written = tflite_network.write(content, network)

    assert not of_kind(network, Kind.OTHER)
    np.testing.assert_array_equal(
        answers(content, samples, delegate=delegate), answers(written, samples, delegate=delegate)
    )
    assert tflite_network.write(written, tflite_network.read(written)) == written
    assert len(written) <= len(content)


def test_every_tensor_of_a_run_can_be_read(digits, images):
    network = tflite_network.read(digits)
    seen = tflite_network.runner(digits)(network, list(network.shapes), images)

    assert {name: value.shape for name, value in seen.items()} == {
        name: (len(images), *shape[1:]) for name, shape in network.shapes.items()
    }
    np.testing.assert_array_equal(seen[network.inputs[0]], images)
    np.testing.assert_array_equal(seen[network.outputs[0]], answers(digits, images, delegate=False))


def test_the_layout_of_weights_is_the_networks(digits, images):
    """A dense layer computed in NumPy from the network's weights equals the engine's."""
    network = tflite_network.read(digits)
    (dense,) = of_kind(network, Kind.DENSE)
    seen = tflite_network.runner(digits)(network, [*dense.inputs, *dense.outputs], images)

    expected = seen[dense.inputs[0]] @ dense.weight.T + dense.bias
    np.testing.assert_allclose(seen[dense.outputs[0]], expected, atol=1e-5)
    assert network.channel_axes[dense.inputs[0]] == 1
    assert [network.channel_axes[layer.outputs[0]] for layer in of_kind(network, Kind.CONV)] == [3, 3]


def test_a_changed_bias_moves_the_answer_by_as_much(digits, images):
    network = tflite_network.read(digits)
    (dense,) = of_kind(network, Kind.DENSE)
    moved = network.replacing(dense.with_constants(bias=dense.bias + np.arange(10, dtype=np.float32)))
    run = tflite_network.runner(digits)

    before, after = (run(each, dense.outputs, images)[dense.outputs[0]] for each in (network, moved))
    np.testing.assert_allclose(after - before, np.broadcast_to(np.arange(10), after.shape), atol=1e-5)


def test_channels_that_nobody_hears_are_taken_out_through_the_flattening(digits, images):
    network = tflite_network.read(digits)
    silent = {layer.name: np.arange(len(layer.weight)) % 3 == 0 for layer in of_kind(network, Kind.CONV)}
    muted = [
        layer.with_constants(
            weight=np.where(silent[layer.name][:, None, None, None], 0, layer.weight),
            bias=np.where(silent[layer.name], 0, layer.bias),
        )
        for layer in of_kind(network, Kind.CONV)
    ]
    quiet = network.replacing(*muted)
    groups = find_groups(quiet)
    doomed = np.zeros(groups.count, bool)
    for layer in muted:
        doomed[groups.of[layer.outputs[0]][silent[layer.name]]] = True

    whole = tflite_network.write(digits, quiet)
    smaller = tflite_network.write(digits, remove(quiet, groups, doomed))

    assert len(smaller) < 0.75 * len(whole)
    np.testing.assert_allclose(answers(smaller, images), answers(whole, images), atol=1e-6)
    again = tflite_network.read(smaller)
    assert [layer.weight.shape for layer in again.weighted_layers] == [(5, 1, 3, 3), (10, 5, 3, 3), (10, 160)]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_depthwise_channels_are_taken_out_with_those_that_feed_them(models):
    """Of a keyword model: a quarter of the channels behind the third convolution, made silent first."""
    content, samples = models["keyword"].content, models["keyword"].samples[:3]
    network = tflite_network.read(content)
    before, deep = of_kind(network, Kind.CONV)[2:4]
    silent = np.arange(len(before.weight)) % 4 == 0
    quiet = network.replacing(
        *(
            layer.with_constants(
                weight=np.where(silent[:, None, None, None], 0, layer.weight), bias=np.where(silent, 0, layer.bias)
            )
            for layer in (before, deep)
        )
    )
    groups = find_groups(quiet)
    doomed = np.zeros(groups.count, bool)
    doomed[groups.of[before.outputs[0]][silent]] = True
    smaller = tflite_network.write(content, remove(quiet, groups, doomed))

    assert tflite_network.read(smaller).layer(deep.name).groups == 48
    whole = tflite_network.write(content, quiet)
    np.testing.assert_allclose(answers(smaller, samples), answers(whole, samples), atol=1e-6)


@pytest.mark.parametrize("kind", [Kind.CONV, Kind.DENSE])
def test_a_layer_is_written_as_two_that_the_file_did_not_have(digits, images, kind):
    """At full rank, so that nothing is lost."""
    network = tflite_network.read(digits)
    layer = of_kind(network, kind)[-1]
    left, values, right = np.linalg.svd(layer.weight.reshape(len(layer.weight), -1), full_matrices=False)
    rank, size = len(values), (1,) * (layer.weight.ndim - 2)
    shape = (*network.shapes[layer.outputs[0]][:-1], rank)
    still = Window((1, 1), (1, 1), (0, 0), (0, 0))
    thin = replace(
        layer,
        name="thin",
        outputs=("thin:0",),
        fused=Fused.NONE,
        constants={"weight": (values[:, None] * right).reshape(rank, *layer.weight.shape[1:])},
    )
    wide = replace(
        layer,
        name="wide",
        inputs=("thin:0",),
        window=still if layer.window else None,
        constants={"weight": left.reshape(-1, rank, *size), "bias": layer.bias},
    )
    split = without(replace(network, shapes={**network.shapes, "thin:0": shape}), layer.name, thin, wide)
    written = tflite_network.write(digits, split)

    np.testing.assert_allclose(answers(written, images), answers(digits, images), atol=1e-5)
    assert [each.name for each in tflite_network.read(written).layers if each.kind is kind][-2:] == [
        "thin:0",
        *layer.outputs,
    ]


def test_a_layer_that_is_taken_out_is_bridged(digits, images):
    """Without the softmax, the file gives what went into it."""
    network = tflite_network.read(digits)
    (softmax,) = of_kind(network, Kind.SOFTMAX)
    bare = replace(without(network, softmax.name), outputs=softmax.inputs)
    written = tflite_network.write(digits, bare)

    raw = answers(written, images)
    exponents = np.exp(raw - raw.max(axis=1, keepdims=True))
    np.testing.assert_allclose(exponents / exponents.sum(axis=1, keepdims=True), answers(digits, images), atol=1e-6)


def test_the_flattening_inside_a_dense_operator_is_a_layer_of_its_own(digits, images):
    """FULLY_CONNECTED takes a plane as it is: the file without its RESHAPE computes the same."""
    model = tflite_files.unpack(digits)
    (graph,) = model.subgraphs
    reshape = next(each for each in graph.operators if tflite_files.word(model, each) == "RESHAPE")
    dense = next(each for each in graph.operators if tflite_files.word(model, each) == "FULLY_CONNECTED")
    dense.inputs = np.array([reshape.inputs[0], *dense.inputs[1:]], np.int32)
    graph.operators = [each for each in graph.operators if each is not reshape]
    tflite_files.drop_unused(model)
    folded = tflite_files.pack(model)

    network = tflite_network.read(folded)

    assert [layer.kind for layer in network.layers] == [layer.kind for layer in tflite_network.read(digits).layers]
    np.testing.assert_array_equal(answers(folded, images), answers(digits, images))
    np.testing.assert_array_equal(answers(tflite_network.write(folded, network), images), answers(digits, images))


def test_a_layer_without_a_form_in_tflite_is_refused_by_name(digits):
    network = tflite_network.read(digits)
    conv = of_kind(network, Kind.CONV)[0]
    lopsided = network.replacing(replace(conv, window=Window((1, 1), (1, 1), (2, 2), (0, 0))))
    unknown = network.replacing(replace(conv, kind=Kind.BATCH_NORM, operator="BatchNormalization"))

    with pytest.raises(NotConvertible, match=r"no padding of \(2, 2\) and \(0, 0\)") as refusal:
        tflite_network.write(digits, lopsided)
    assert refusal.value.hint
    with pytest.raises(NotConvertible, match="BatchNormalization"):
        tflite_network.write(digits, unknown)


def test_the_same_edit_gives_the_same_bytes(digits):
    assert len({tflite_network.write(digits, tflite_network.read(digits)) for _ in range(3)}) == 1


@given(side=st.integers(1, 40), size=st.integers(1, 9), stride=st.integers(1, 4), dilation=st.integers(1, 3))
def test_same_padding_gives_as_many_positions_as_strides_fit_in(side, size, stride, dilation):
    (before,), (after,) = same_pads((side,), (size,), (stride,), (dilation,))
    reach = (size - 1) * dilation + 1

    assert 0 <= after - before <= 1
    if before + after:
        assert (side + before + after - reach) // stride + 1 == -(-side // stride)


def test_layers_split_in_two_are_written_and_answer_nearly_the_same(digits, images):
    network = tflite_network.read(digits)
    known = Evidence(images, tflite_network.runner(digits))

    thin = factorise(network, known, energy=0.999)

    written = tflite_network.write(digits, thin)
    assert {layer.name.rpartition("/")[2] for layer in thin.layers} >= {"thin", "wide"}
    assert len(written) < len(digits)
    assert tflite_network.read(written).weight_count == thin.weight_count < network.weight_count
    np.testing.assert_allclose(
        answers(written, images, delegate=True), answers(digits, images, delegate=True), atol=0.05
    )
