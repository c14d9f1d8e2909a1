"""A release that is not good is found out before it answers anyone, and the active one does not notice."""

from __future__ import annotations

import dataclasses

import pytest

from edge_agent.adapters.worker_orders import WorkerFaults
from edge_agent.core.health import judge_selftest
from edge_agent.ports import ModelFailed, Release
from edge_contracts.manifest import Limits
from edge_contracts.payload import Payload
from edge_contracts.reasons import Reason
from tests.edge_agent.serving.conftest import Serve, accuracy
from tests.support.releases import MODELS, release


def test_broken_weights_show_in_the_golden_outputs(serve: Serve) -> None:
    serving = serve("cpu-litert")
    bad = release("broken", 2, answers_of="cpu-litert")

    facts = serving.prepare(bad)

    assert judge_selftest(facts, bad.variant) is Reason.SELFTEST_OUTPUTS
    assert facts.top1_agreement < 0.2
    assert facts.max_abs_error > 0.5
    serving.discard_candidate()
    assert accuracy(serving) > 0.95


def test_a_slow_model_breaks_its_latency_contract(serve: Serve) -> None:
    bad = release("cpu-litert", limits=Limits(latency_p99_ms=5.0))
    facts = serve(faults=WorkerFaults(slow_ms=8)).prepare(bad)

    assert judge_selftest(facts, bad.variant) is Reason.SELFTEST_LATENCY


def test_a_model_over_the_memory_of_the_device_is_stopped(serve: Serve) -> None:
    with pytest.raises(ModelFailed, match="its limit here is 16 MiB") as caught:
        serve(memory_limit_bytes=16 * 2**20).prepare(release("cpu-litert"))

    assert caught.value.reason is Reason.SELFTEST_MEMORY


@pytest.mark.parametrize("kind", ["cpu-litert", "cpu-ort", "mcu"])
@pytest.mark.parametrize("damage", ["empty", "text", "half"])
def test_a_corrupt_model_does_not_load(serve: Serve, kind: str, damage: str) -> None:
    whole = release(kind).payload.model
    model = {"empty": b"", "text": b"this is no model", "half": whole[: len(whole) // 2]}[damage]

    with pytest.raises(ModelFailed) as caught:
        serve().prepare(release(kind, model=model))

    assert caught.value.reason is Reason.MODEL_UNLOADABLE
    assert str(caught.value)


def test_a_model_with_another_signature_than_the_signed_one_does_not_load(serve: Serve) -> None:
    other = (MODELS / "digits-fp32.tflite").read_bytes()

    with pytest.raises(ModelFailed, match=r"input 'image' is FP32 .* in the model, INT8 .* in the manifest") as caught:
        serve().prepare(release("cpu-litert", model=other))

    assert caught.value.reason is Reason.MODEL_UNLOADABLE


@pytest.mark.parametrize("golden", [b"", b"PK\x03\x04 no zip", b"\x93NUMPY"])
def test_unreadable_golden_data_is_a_reason(serve: Serve, golden: bytes) -> None:
    made = release("cpu-litert")
    spoilt = Release(made.manifest, made.variant, Payload(made.payload.model, golden))

    with pytest.raises(ModelFailed) as caught:
        serve().prepare(spoilt)

    assert caught.value.reason is Reason.SELFTEST_OUTPUTS


def test_a_candidate_that_crashes_leaves_the_active_one_alone(serve: Serve) -> None:
    serving = serve("cpu-litert", faults=WorkerFaults(crash_after=0, from_version=2))

    with pytest.raises(ModelFailed, match=r"SIGABRT.*fault crash_after") as caught:
        serving.prepare(release("cpu-litert", 2))

    assert caught.value.reason is Reason.MODEL_UNLOADABLE
    assert accuracy(serving) > 0.95
    assert serving.health().crashes == 0


def test_a_candidate_that_never_answers_is_given_up(serve: Serve) -> None:
    serving = serve("cpu-litert", faults=WorkerFaults(hang_after=0, from_version=2), request_timeout_s=0.3)

    with pytest.raises(ModelFailed, match=r"no answer within 0\.3 s"):
        serving.prepare(release("cpu-litert", 2))

    assert accuracy(serving) > 0.95


def test_preparing_the_same_release_again_changes_nothing(serve: Serve) -> None:
    serving = serve()
    made = release("cpu-litert")

    assert serving.prepare(made) is serving.prepare(dataclasses.replace(made))
