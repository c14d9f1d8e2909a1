"""Plans of the arena: whatever lives at one time lies apart, and TFLite Micro itself makes the same plan."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from edge_converters.mcu.arena import ALIGNMENT, Buffer, aligned, least, plan
from edge_converters.mcu.graphs import Graph, from_json
from edge_converters.mcu.planning import plan_activations
from edge_converters.mcu.scratch import Kernels
from edge_converters.mcu.usage import PLAN_FILE, usage_of
from edge_converters.tasks import Task
from edge_converters.workers import Worker
from tests.edge_converters.conftest import Shared
from tests.support.tflite_files import Operand, write_operator

OWN = Path(__file__).parents[2] / "support/models"
SHARED_MODELS = (
    "keyword_spotting/kws_ref_model.tflite",
    "anomaly_detection/ad01_int8.tflite",
    "visual_wake_words/vww_96_int8.tflite",
    "image_classification/pretrainedResnet_quant.tflite",
    "micro_speech/micro_speech_quantized.tflite",
    "micro_speech/audio_preprocessor_int8.tflite",
)


@st.composite
def buffers(draw: st.DrawFn) -> Buffer:
    first = draw(st.integers(0, 12))
    return Buffer("", draw(st.integers(0, 500)), first, first + draw(st.integers(0, 6)))


@given(st.lists(buffers(), max_size=14))
def test_buffers_that_live_at_one_time_lie_apart(wanted: list[Buffer]):
    for one, other in combinations(plan(wanted).placed, 2):
        if one.buffer.meets(other.buffer) and one.buffer.size and other.buffer.size:
            assert one.end <= other.offset or other.end <= one.offset


@given(st.lists(buffers(), max_size=14))
def test_a_plan_is_aligned_and_lies_between_what_is_live_and_what_there_is(wanted: list[Buffer]):
    made = plan(wanted)

    assert [each.buffer for each in made.placed] == wanted
    assert all(each.offset % ALIGNMENT == 0 for each in made.placed)
    assert least(wanted) <= made.peak <= sum(aligned(buffer.size) for buffer in wanted)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=14))
def test_buffers_that_never_meet_share_one_place(sizes: list[int]):
    made = plan([Buffer("", size, step, step) for step, size in enumerate(sizes)])

    assert {each.offset for each in made.placed} == {0}
    assert made.peak == least([each.buffer for each in made.placed]) == aligned(max(sizes))


def read(path: Path, worker: Worker) -> Graph:
    return from_json(worker.call(Task.READ_TFLITE_GRAPH, model=str(path)))


def same_as_tflite_micros(path: Path, worker: Worker) -> None:
    """The head that TFLite Micro's allocator reports is the plan's, to the byte."""
    planned = plan_activations(read(path, worker), Kernels.REFERENCE)
    assert planned is not None
    assert planned.plan.peak == worker.call(Task.MEASURE_ARENA, model=str(path))["head_bytes"]


@pytest.mark.parametrize("name", SHARED_MODELS)
def test_the_plan_of_a_trained_model_is_tflite_micros_own(shared: Shared, worker: Worker, name: str):
    same_as_tflite_micros(shared / name, worker)


@pytest.mark.parametrize("name", ["digits-int8.tflite", "digits-fp32.tflite"])
def test_the_plan_of_the_digits_is_tflite_micros_own(worker: Worker, name: str):
    same_as_tflite_micros(OWN / name, worker)


AXES = Operand([2], np.array([1, 2], np.int32), "INT32")


@pytest.mark.parametrize("operator", ["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"])
def test_the_scratch_of_a_reduction_is_in_the_plan(worker: Worker, tmp_path: Path, operator: str):
    """Its sums are larger than its output: a plan without them would be too small."""
    path = write_operator(tmp_path / "model.tflite", operator, [Operand([1, 4, 4, 64]), AXES], [1, 64], _keep(False))

    same_as_tflite_micros(path, worker)


def test_the_scratch_of_a_transposed_convolution_is_in_the_plan(worker: Worker, tmp_path: Path):
    options = schema.TransposeConvOptionsT()
    options.strideH = options.strideW = 2
    shape = Operand([4], np.array([1, 8, 8, 4], np.int32), "INT32")
    weights = Operand([4, 2, 2, 8], np.ones((4, 2, 2, 8), np.int8))
    inputs = [shape, weights, Operand([1, 4, 4, 8])]
    path = write_operator(tmp_path / "model.tflite", "TRANSPOSE_CONV", inputs, [1, 8, 8, 4], options)

    same_as_tflite_micros(path, worker)


@pytest.mark.parametrize(("subgraphs", "planned_offline"), [(2, False), (1, True)])
def test_there_is_no_plan_where_tflite_micro_makes_another(subgraphs: int, planned_offline: bool):
    graph = Graph((), (), (), (), subgraphs, planned_offline)

    assert plan_activations(graph, Kernels.REFERENCE) is None


def test_what_the_plan_does_not_know_is_named(shared: Shared, worker: Worker):
    graph = read(shared / "micro_speech/audio_preprocessor_int8.tflite", worker)

    planned = plan_activations(graph, Kernels.REFERENCE)

    assert planned is not None
    assert "SignalRfft" in planned.unknown
    assert "without the scratch of" in planned.method


def test_a_small_model_needs_more_than_its_head_and_tail(shared: Shared, worker: Worker):
    """While the head is planned, the planner's tables lie in its place: the autoencoder's are larger than its head."""
    answer = worker.call(Task.MEASURE_ARENA, model=str(shared / "anomaly_detection/ad01_int8.tflite"))

    assert answer["head_bytes"] == 768
    assert answer["arena_bytes"] > answer["head_bytes"] + answer["tail_bytes"]


def test_cmsis_nn_asks_for_its_columns_on_top(shared: Shared, worker: Worker):
    """Two columns of 16 bits: 10 x 4 x 1 elements each for the first convolution, 64 for those over one pixel."""
    graph = read(shared / "keyword_spotting/kws_ref_model.tflite", worker)
    answer = worker.call(Task.MEASURE_ARENA, model=str(shared / "keyword_spotting/kws_ref_model.tflite"))

    planned = plan_activations(graph, Kernels.CMSIS_NN_DSP)

    assert planned is not None
    scratch = {each.buffer.name: each.buffer.size for each in planned.plan.placed if "scratch" in each.buffer.name}
    pixelwise = dict.fromkeys((f"scratch of CONV_2D {index}" for index in (2, 4, 6, 8)), 2 * 2 * 64)
    assert scratch == {"scratch of CONV_2D 0": 2 * 2 * 40, **pixelwise, "scratch of AVERAGE_POOL_2D 9": 4 * 64}
    assert planned.plan.peak - answer["head_bytes"] <= aligned(256)


def test_the_plan_can_be_read_as_a_table(shared: Shared, worker: Worker):
    path = shared / "keyword_spotting/kws_ref_model.tflite"
    use = usage_of(read(path, worker), None, worker.call(Task.MEASURE_ARENA, model=str(path)))

    header, *rows = use.tables()[PLAN_FILE].decode().splitlines()

    assert header == "buffer,bytes,offset,first_step,last_step"
    ends = [int(offset) + aligned(int(size)) for _, size, offset, _, _ in (row.rsplit(",", 4) for row in rows)]
    assert max(ends) == use.head


def _keep(dimensions: bool) -> schema.ReducerOptionsT:
    options = schema.ReducerOptionsT()
    options.keepDims = dimensions
    return options
