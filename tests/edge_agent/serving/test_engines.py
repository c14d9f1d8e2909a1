"""Each class of hardware runs the engine it claims, in a real worker, on a trained model."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.adapters.census import find_engines
from edge_agent.core.health import judge_selftest
from edge_agent.ports import ModelFailed
from edge_contracts.manifest import Accelerator, Engine, EngineNeeds, Limits
from edge_contracts.reasons import Reason
from tests.edge_agent.serving.conftest import Serve, accuracy, image
from tests.support.releases import MODEL, release, samples
from tests.support.tools import missing

pytestmark = pytest.mark.device

NO_GPU = {"VK_ICD_FILENAMES": "/nonexistent/driver.json"}


@pytest.fixture(scope="module")
def census():
    return find_engines()


@pytest.mark.parametrize("kind", ["cpu-ort", "cpu-ort-qdq", "cpu-litert", "cpu-litert-fp32", "gpu", "npu", "mcu"])
def test_each_kind_runs_where_it_says(serve: Serve, census, kind: str) -> None:
    made = release(kind)
    if not census.runs(made.variant.needs.model_copy(update={"fallback": None})):
        missing(f"{kind} needs {made.variant.needs.accelerator}, which this machine lacks: {census.found()}")
    serving = serve()

    facts = serving.prepare(made)
    serving.activate()

    assert judge_selftest(facts, made.variant) is None
    assert (facts.accelerator, facts.fallback, facts.coverage) == (made.variant.needs.accelerator, False, 1.0)
    assert accuracy(serving) > 0.95
    assert serving.active_selftest() == facts


def test_the_simulated_npu_answers_as_the_cpu_does(serve: Serve, census) -> None:
    if "onnxruntime/qnn-htp" not in census.found():
        missing("the QNN provider finds no Hexagon here")
    cpu, npu = serve("cpu-ort-qdq"), serve("npu")

    for number in range(16):
        expected = cpu.infer(MODEL, None, image(number)).outputs["digit"]
        got = npu.infer(MODEL, None, image(number)).outputs["digit"]
        assert got.argmax() == expected.argmax()
        # One step of a logit, 0.17 here, moves an undecided probability by as much as 0.17 / 4.
        assert np.abs(got - expected).max() <= 0.05


def test_a_missing_gpu_falls_back_where_the_release_allows_it_and_says_so(serve: Serve) -> None:
    serving = serve(environment=NO_GPU)
    made = release("gpu")

    facts = serving.prepare(made)
    serving.activate()

    assert (facts.accelerator, facts.fallback, facts.coverage) == ("cpu", True, None)
    assert judge_selftest(facts, made.variant) is None
    answer = serving.infer(MODEL, None, image())
    assert (answer.accelerator, answer.fallback) == ("cpu", True)


def test_a_missing_gpu_is_a_reason_where_no_fallback_is_allowed(serve: Serve) -> None:
    serving = serve(environment=NO_GPU)
    needs = EngineNeeds(engine=Engine.LITERT, accelerator=Accelerator.GPU)

    with pytest.raises(ModelFailed) as caught:
        serving.prepare(release("gpu", needs=needs))

    assert caught.value.reason is Reason.ENGINE_MISSING


PROVIDERS = {
    Accelerator.CUDA: "this onnxruntime has no CUDAExecutionProvider",
    Accelerator.TENSORRT: "this onnxruntime has no TensorrtExecutionProvider",
    Accelerator.OPENVINO_NPU: r"No module named 'onnxruntime_ep_openvino'; install it with .*\[agent,openvino\]|no NPU",
}


@pytest.mark.parametrize("accelerator", PROVIDERS)
def test_a_missing_provider_is_a_reason_or_falls_back_to_the_cpu_and_says_so(
    serve: Serve, census, accelerator: Accelerator
) -> None:
    needs = EngineNeeds(engine=Engine.ONNXRUNTIME, accelerator=accelerator, coverage_floor=0.9)
    if census.runs(needs):
        pytest.skip(f"this machine has {accelerator}")
    serving, allowed = serve(), release("cpu-ort", needs=needs.model_copy(update={"fallback": Accelerator.CPU}))

    with pytest.raises(ModelFailed, match=PROVIDERS[accelerator]) as caught:
        serving.prepare(release("cpu-ort", needs=needs))
    facts = serving.prepare(allowed)
    serving.activate()

    assert caught.value.reason is Reason.ENGINE_MISSING
    assert (facts.accelerator, facts.fallback) == ("cpu", True)
    assert judge_selftest(facts, allowed.variant) is None
    assert accuracy(serving) > 0.95


def test_a_provider_is_tried_by_running_something_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the one that every build has; the others start the same way."""
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "1")
    from edge_agent.adapters.engines.ort import measure, open_on, recording_options, try_on

    provider, made = "CPUExecutionProvider", release("cpu-ort")

    try_on(provider)
    session = open_on(made.payload.model, recording_options(made.variant), provider)

    assert measure(session, provider, Accelerator.CPU, "").coverage == 1
    assert measure(session, "CUDAExecutionProvider", Accelerator.CUDA, "").coverage == 0


def test_an_engine_that_is_not_for_a_host_is_missing(serve: Serve) -> None:
    needs = EngineNeeds(engine=Engine.VELA, accelerator=Accelerator.ETHOS_U)

    with pytest.raises(ModelFailed, match="vela/ethos-u does not run in an agent") as caught:
        serve().prepare(release("mcu", needs=needs))

    assert caught.value.reason is Reason.ENGINE_MISSING


def test_a_microcontroller_has_its_arena_and_no_more(serve: Serve) -> None:
    serving = serve()

    facts = serving.prepare(release("mcu", limits=Limits(memory_bytes=4096)))
    assert 2000 < facts.rss_bytes <= 4096

    small = EngineNeeds(engine=Engine.TFLITE_MICRO, accelerator=Accelerator.MCU, arena_bytes=1024)
    with pytest.raises(ModelFailed, match="arena of 1024 bytes") as caught:
        serving.prepare(release("mcu", needs=small))
    assert caught.value.reason is Reason.SELFTEST_MEMORY


def test_a_batch_of_any_size_is_answered_where_the_model_leaves_it_free(serve: Serve) -> None:
    serving = serve("cpu-ort")
    x, y = samples()

    digits = serving.infer(MODEL, None, {"image": x}).outputs["digit"].argmax(axis=1)

    assert (digits == y).mean() > 0.95


def test_the_census_finds_what_is_installed_and_counts_the_fallback(census) -> None:
    assert {"onnxruntime/cpu", "litert/cpu", "tflite-micro/mcu"} <= set(census.found())
    assert census.runs(EngineNeeds(engine=Engine.ONNXRUNTIME))
    assert not census.runs(EngineNeeds(engine=Engine.VELA, accelerator=Accelerator.ETHOS_U))
    without = find_engines(NO_GPU)
    gpu = EngineNeeds(engine=Engine.LITERT, accelerator=Accelerator.GPU)
    assert not without.runs(gpu)
    assert without.runs(gpu.model_copy(update={"fallback": Accelerator.CPU}))
