"""The keyword model, from SavedModel and from ONNX, for every profile: as good as the float model, and it runs."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from edge_contracts.manifest import Accelerator, Engine, Manifest, Variant
from edge_contracts.payload import unpack_payload
from edge_converters.bundles import Bundle, model_file, read_bundle
from edge_converters.checks import try_on_target, verify
from edge_converters.conversion import convert
from edge_converters.errors import CheckFailed
from edge_converters.files import ModelFile
from edge_converters.guard import Verdict
from edge_converters.tasks import Task
from edge_converters.tensors import to_real, to_stored
from edge_converters.workers import Worker
from edge_profiles.boards import FOLDER, load, load_file
from edge_profiles.schemes import Scheme
from tests.edge_converters.conftest import EVERY_PROFILE, OWN, Converted

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", params=["keyword_conversion", "keyword_onnx_conversion"], ids=["saved-model", "onnx"])
def converted(request: pytest.FixtureRequest) -> Converted:
    found: Converted = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def bundle(converted: Converted) -> Bundle:
    assert converted.outcome.verdict is Verdict.PASS, converted.outcome
    assert converted.outcome.bundle is not None
    return read_bundle(converted.outcome.bundle)


def only(manifest: Manifest, profile: str) -> Variant:
    (variant,) = manifest.for_profile(profile)
    return variant


def test_every_profile_has_one_variant_in_its_own_scheme(bundle: Bundle):
    shipped = [variant for variant in bundle.manifest.variants if variant.profile not in OWN]
    assert {variant.profile: variant.scheme for variant in shipped} == {
        "x86-64-vnni": "qdq-u8s8",
        "rpi4-litert": "int8",
        "gpu-litert": "fp16",
        "hexagon-qnn": "qdq-u16s8",
        "cortex-m4-stm32l4r5": "int8",
        "ethos-u55-128": "int8",
    }


def test_a_users_own_profile_has_a_variant_in_the_scheme_that_it_asks_for(keyword_conversion: Converted):
    assert keyword_conversion.outcome.bundle is not None
    manifest = read_bundle(keyword_conversion.outcome.bundle).manifest
    assert {name: only(manifest, name).scheme for name in OWN} == {name: scheme for name, (_, scheme) in OWN.items()}
    assert "latency_p50" in only(manifest, "my-pi").figures


@pytest.mark.parametrize("profile", EVERY_PROFILE)
def test_it_is_within_one_point_of_the_float_model_on_data_not_used_for_calibration(bundle: Bundle, profile: str):
    accuracy = only(bundle.manifest, profile).accuracy

    assert accuracy is not None
    assert accuracy.metric == "accuracy"
    assert accuracy.n == 280
    assert accuracy.source_value > 0.88
    assert accuracy.source_value - accuracy.variant_value <= 0.01


@pytest.mark.parametrize(("profile", "task"), [("x86-64-vnni", Task.RUN_ONNXRUNTIME), ("rpi4-litert", Task.RUN_LITERT)])
def test_the_shipped_file_itself_keeps_the_accuracy(
    converted: Converted, bundle: Bundle, worker: Worker, profile, task, tmp_path
):
    """Run the bytes of the bundle over all labelled data that calibration has not seen."""
    variant, data = only(bundle.manifest, profile), converted.data
    np.save(tmp_path / "x.npy", to_stored(variant.inputs[0], data.model_input(data.evaluation.x)))
    model = str(bundle.path / model_file(variant))
    worker.call(task, model=model, inputs=str(tmp_path / "x.npy"), outputs=str(tmp_path / "y.npz"), threads=1)
    with np.load(tmp_path / "y.npz") as arrays:
        answers = to_real(variant.outputs[0], arrays["output_0"])

    assert len(answers) == 399
    assert (answers.argmax(axis=1) == data.evaluation.y).mean() > 0.8972 - 0.01


def test_the_int8_variants_take_and_give_int8_with_a_scale_for_each_channel(bundle: Bundle, worker: Worker):
    for profile in ("rpi4-litert", "cortex-m4-stm32l4r5"):
        variant = only(bundle.manifest, profile)
        assert [spec.datatype for spec in (*variant.inputs, *variant.outputs)] == ["INT8", "INT8"]
        assert all(spec.quantization for spec in (*variant.inputs, *variant.outputs))
        found = worker.call(Task.INSPECT_TFLITE, model=str(bundle.path / model_file(variant)))
        assert found["float_operators"] == []
        assert found["per_axis"] == 1


def test_variants_of_one_file_are_smaller_than_their_float_files(bundle: Bundle):
    for variant in bundle.manifest.variants:
        assert variant.figures["size"].value < variant.figures["float_size"].value


def test_the_microcontrollers_variant_runs_in_tflite_micro_within_its_arena(bundle: Bundle):
    variant = only(bundle.manifest, "cortex-m4-stm32l4r5")

    assert variant.needs.engine is Engine.TFLITE_MICRO
    assert variant.needs.arena_bytes == 393216
    assert 20_000 < variant.figures["arena"].value < 60_000


def test_the_tensor_processors_variant_runs_in_one_partition_near_the_cpus_answers(bundle: Bundle):
    figures = only(bundle.manifest, "hexagon-qnn").figures

    assert figures["partitions"].value == 1
    assert figures["coverage"].value == 1
    assert figures["npu_difference"].value <= 1
    assert figures["npu_within_1_lsb"].value == 1


def test_the_gpus_variant_is_fully_accelerated_and_within_a_thousandth_of_the_float_model(
    converted: Converted, bundle: Bundle, worker: Worker, tmp_path
):
    variant = only(bundle.manifest, "gpu-litert")
    payload = unpack_payload(bundle.payloads[variant.name], variant.model, variant.golden)
    (report,) = (each for each in converted.outcome.reports if each.profile == "gpu-litert")
    with np.load(io.BytesIO(payload.golden)) as arrays:
        golden = {name: arrays[name] for name in arrays}
    np.save(tmp_path / "x.npy", golden["input_0"])
    source = {"source": str(converted.source), "kind": "onnx" if converted.source.suffix else "saved-model"}
    task = Task.RUN_ONNX_SOURCE if converted.source.suffix else Task.RUN_TENSORFLOW_SOURCE
    worker.call(task, **source, inputs={"golden": str(tmp_path / "x.npy")}, answers=str(tmp_path / "y.npz"))
    with np.load(tmp_path / "y.npz") as arrays:
        (expected,) = arrays.values()

    assert variant.figures["coverage"].value == 1, report.target
    assert np.abs(golden["output_0"] - expected).max() < 1e-3


def test_the_ethos_u_variant_is_mapped_whole_with_its_report_in_the_bundle(bundle: Bundle):
    variant = only(bundle.manifest, "ethos-u55-128")
    folder = bundle.path / model_file(variant)
    text = (folder.parent / "vela-report.txt").read_text()

    assert variant.needs.accelerator is Accelerator.ETHOS_U
    assert variant.figures["coverage"].value == 1
    assert variant.figures["latency"].kind == "estimated"
    assert "Ethos_U55_Deep_Embedded" in variant.figures["latency"].source
    assert "CPU operators = 0" in text
    assert "inferences_per_second" in (folder.parent / "vela-summary.csv").read_text()


def test_golden_data_is_the_variants_own_and_clear(bundle: Bundle):
    for variant in bundle.manifest.variants:
        payload = unpack_payload(bundle.payloads[variant.name], variant.model, variant.golden)
        with np.load(io.BytesIO(payload.golden)) as arrays:
            inputs, outputs = arrays["input_0"], arrays["output_0"]
        assert len(inputs) == len(outputs) == 8
        real = to_real(variant.outputs[0], outputs)
        assert len(set(real.argmax(axis=1))) >= 5
        ordered = np.sort(real, axis=1)
        assert (ordered[:, -1] - ordered[:, -2]).min() > 2 * variant.tolerance.absolute


def test_the_baseline_counts_every_evaluation_sample_before_preprocessing(converted: Converted, bundle: Bundle):
    baseline, x = bundle.manifest.baseline, converted.data.evaluation.x

    assert baseline.n == sum(baseline.classes) == sum(baseline.confidence) == len(x) == 399
    for variant in bundle.manifest.variants:
        assert variant.answers is not None
        assert sum(variant.answers.classes) == sum(variant.answers.confidence) == 399
    means = next(feature for feature in baseline.features if feature.statistic == "mean")
    assert means.low == pytest.approx(x.reshape(len(x), -1).mean(axis=1).min())
    assert bundle.manifest.preprocessing.offset == 83


def test_the_report_says_where_latency_was_measured(converted: Converted, bundle: Bundle):
    report = json.loads((bundle.path / "report.json").read_text())

    assert report["verdict"] == "pass"
    assert "cores" in report["measured_on"]
    assert report["samples"] == {"calibration": 100, "ranking": 119, "decision": 280}
    for variant in bundle.manifest.variants:
        own = json.loads((bundle.path / model_file(variant)).with_name("report.json").read_text())
        assert own["variant"] == variant.name
        measured = variant.needs.engine in {Engine.ONNXRUNTIME, Engine.LITERT}
        assert ("latency_p50" in variant.figures) == measured == (own["latency"] is not None)


def test_the_same_input_gives_the_same_bytes(keyword_conversion: Converted, tmp_path):
    profiles = ("x86-64-vnni", "rpi4-litert")
    boards = [load(profile) for profile in profiles]
    again = convert(keyword_conversion.source, boards, keyword_conversion.data, output=tmp_path / "again")

    assert again.bundle is not None
    assert keyword_conversion.outcome.bundle is not None
    first, second = (read_bundle(path).manifest for path in (keyword_conversion.outcome.bundle, again.bundle))
    for profile in profiles:
        assert only(second, profile).payload == only(first, profile).payload


def test_a_model_that_needs_more_arena_than_the_board_grants_is_refused_with_both_numbers(bundle: Bundle, tmp_path):
    variant = only(bundle.manifest, "cortex-m4-stm32l4r5")
    board = tmp_path / "small.toml"
    board.write_text((FOLDER / "cortex-m4-stm32l4r5.toml").read_text().replace("value = 393216", "value = 20000"))
    file = ModelFile(
        bundle.path / model_file(variant), "tflite", variant.inputs, variant.outputs, (), (), per_axis=1.0, nodes=13
    )

    with pytest.raises(CheckFailed, match=r"needs 2\d{4} bytes of arena, the profile grants 20000"):
        try_on_target(file, load_file(board), tmp_path / "not-reached.npy", {})


def test_an_operator_without_a_kernel_on_the_board_is_named(bundle: Bundle):
    variant = only(bundle.manifest, "cortex-m4-stm32l4r5")
    file = ModelFile(
        bundle.path / model_file(variant), "tflite", variant.inputs, variant.outputs, ("CONV_2D", "LSTM"), (), 1.0, 13
    )

    with pytest.raises(CheckFailed, match="has no kernel for LSTM"):
        verify(file, load("cortex-m4-stm32l4r5"), Scheme.INT8)
