"""What a variant must show by running before it is shipped: one function per accelerator, chosen from a table.

Each runs samples where the target would run them (or on what stands for it: the tensor processor's simulator, a Vulkan
adapter, TFLite Micro's kernels) and returns figures; a broken hard limit raises CheckFailed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_contracts.manifest import Accelerator, Figure, TensorSpec
from edge_converters import vulkan
from edge_converters.errors import CheckFailed
from edge_converters.files import ModelFile, run
from edge_converters.machine import describe_machine
from edge_converters.making import WeightedLayer
from edge_converters.mcu.cores import CORES
from edge_converters.mcu.graphs import from_json
from edge_converters.mcu.library import FOLDER, OPERATOR_LIST, operator_list
from edge_converters.mcu.usage import usage_of
from edge_converters.tasks import Task
from edge_converters.weights import check_activations, check_weights
from edge_converters.workers import Worker
from edge_profiles.profile import Profile
from edge_profiles.schemes import Scheme

Array = npt.NDArray[Any]

QUANTISED: Final = frozenset({Scheme.INT8, Scheme.INT16X8, Scheme.QDQ_U8S8, Scheme.QDQ_S8S8, Scheme.QDQ_U16S8})
PER_CHANNEL: Final = QUANTISED | {Scheme.DYNAMIC}
STORED_ENDS: Final = {Scheme.INT8: "INT8", Scheme.INT16X8: "INT16"}
"""TFLite schemes whose inputs and outputs are stored values, and as what."""
STRUCTURAL: Final = frozenset({"QUANTIZE", "DEQUANTIZE"})


@dataclass(frozen=True)
class Trial:
    """A run on the target's own engine, or on what stands for it.

    `real` are its answers, empty if it gave none; `difference` is how far another engine that a device may use lies
    from them.
    """

    sentence: str
    figures: dict[str, Figure] = field(default_factory=dict)
    real: dict[str, Array] = field(default_factory=dict)
    difference: float = 0.0
    attachments: dict[str, bytes] = field(default_factory=dict)
    replaces: Path | None = None
    """A compiled file that is shipped in place of the one that was tried."""
    ran: bool = True
    """False where this machine has nothing that stands for the target."""


def verify(file: ModelFile, profile: Profile, scheme: Scheme, kept: Sequence[WeightedLayer] = ()) -> None:
    """That the file truly has what was asked for; the layers of `kept`, and only those, are floats.

    Raises:
        CheckFailed: weights or activations that are not stored as asked, a float operator in a quantised file, a scale
            per tensor where one per channel was asked for, float inputs where stored ones were, an operator without a
            kernel on the target, too many bytes.
    """
    check_weights(file, scheme, kept)
    check_activations(file, scheme)
    floats = sorted(set(file.float_operators) - STRUCTURAL - {layer.operator for layer in kept})
    if scheme in QUANTISED and floats:
        raise _broken(f"{', '.join(floats)} still compute on floats", "Use operators that have int8 kernels.")
    if scheme in PER_CHANNEL and file.per_axis < 1:
        raise _broken(
            f"{1 - file.per_axis:.0%} of the convolutions have one scale for all channels", "Report this model."
        )
    asked = STORED_ENDS.get(scheme)
    if asked is not None and any(spec.datatype != asked for spec in (*file.inputs, *file.outputs)):
        raise _broken(f"inputs or outputs are not {asked.lower()}", "Report this model.")
    if profile.operators is not None:
        missing = sorted(set(file.operators) - set(profile.operators.allow))
        if missing:
            raise _broken(
                f"{profile.name} has no kernel for {', '.join(missing)}",
                "Replace these operators, or add the kernels to the firmware and to operators.allow of your profile.",
            )
    if profile.budgets.size is not None and file.size > profile.budgets.size.value:
        raise _broken(
            f"the file has {file.size} bytes, budgets.size of {profile.name} is {profile.budgets.size.value:.0f}",
            "Make the model smaller.",
        )


def try_on_target(file: ModelFile, profile: Profile, inputs: Path, expected: dict[str, Array]) -> Trial:
    """Run the stored samples of `inputs` on the profile's accelerator; `expected` are the CPU's real answers.

    Raises:
        CheckFailed: coverage below the profile's floor, too little arena, or no such engine here.
    """
    return _TRIALS[profile.accelerator](file, profile, inputs, expected)


def _on_cpu(file: ModelFile, profile: Profile, inputs: Path, expected: dict[str, Array]) -> Trial:
    del file, profile, inputs, expected
    return Trial("the accuracy was measured in this engine")


def _on_gpu(file: ModelFile, profile: Profile, inputs: Path, expected: dict[str, Array]) -> Trial:
    with Worker(vulkan.environment()) as worker:
        real, answer = run(file, Task.RUN_LITERT_GPU, inputs, worker, threads=profile.threads)
    if answer["adapter"] is None:
        hint = "Convert on a machine that has one; Debian's chromium package brings a Vulkan driver in software."
        return _not_tried(profile, "there is no Vulkan adapter here, in hardware or software", hint)
    coverage = 1.0 if answer["fully_accelerated"] else 0.0
    _hold_floor(profile, coverage, "LiteRT left operators to the CPU")
    worst = _difference(real, expected)
    return Trial(
        f"all operators on {answer['adapter']}, at most {worst:.2g} from the CPU",
        {"coverage": _measured(coverage, "share", answer["adapter"], answer["samples"])},
        real,
        worst,
    )


def _on_hexagon(file: ModelFile, profile: Profile, inputs: Path, expected: dict[str, Array]) -> Trial:
    with Worker() as worker:
        real, answer = run(file, Task.RUN_QNN, inputs, worker, threads=profile.threads)
    left = answer["on_cpu"]
    coverage = 1 - sum(left.values()) / max(file.nodes, sum(left.values()), 1)
    names = ", ".join(f"{count} x {name}" for name, count in sorted(left.items()))
    _hold_floor(profile, coverage, f"left to the CPU: {names or 'nothing'}")
    worst = _difference(real, expected)
    steps = np.max([_steps(spec, real[spec.name], expected[spec.name]) for spec in file.outputs], axis=0)
    near = int((steps <= 1).sum())
    where = "Hexagon simulator of the QNN provider"
    return Trial(
        f"{answer['partitions']} partition(s) on the {where}; {near} of {len(steps)} samples within 1 LSB of 8 bits of"
        f" the CPU, the worst {steps.max():.2f}",
        {
            "coverage": _measured(coverage, "share", where, answer["samples"]),
            "partitions": _measured(answer["partitions"], "count", where, answer["samples"]),
            "npu_difference": _measured(float(steps.max()), "LSB of 8 bits", where, answer["samples"]),
            "npu_within_1_lsb": _measured(near / len(steps), "share of samples", where, answer["samples"]),
        },
        real,
        worst,
    )


def _on_provider(file: ModelFile, profile: Profile, inputs: Path, expected: dict[str, Array]) -> Trial:
    with Worker() as worker:
        real, answer = run(file, Task.RUN_PROVIDER, inputs, worker, accelerator=profile.accelerator)
    if "missing" in answer:
        return _not_tried(profile, answer["missing"])
    left = answer["on_cpu"]
    coverage = answer["taken"] / max(answer["taken"] + sum(left.values()), 1)
    names = ", ".join(f"{count} x {name}" for name, count in sorted(left.items()))
    _hold_floor(profile, coverage, f"left to the CPU: {names or 'nothing'}")
    worst, n = _difference(real, expected), answer["samples"]
    return Trial(
        f"{coverage:.0%} of the operators on {profile.accelerator} in {answer['partitions']} partition(s), at most"
        f" {worst:.2g} from the CPU",
        {
            "coverage": _measured(coverage, "share", profile.accelerator, n),
            "partitions": _measured(answer["partitions"], "count", profile.accelerator, n),
        },
        real,
        worst,
    )


def _on_edge_tpu(file: ModelFile, profile: Profile, inputs: Path, expected: dict[str, Array]) -> Trial:
    del file, inputs, expected
    why = "Google's edgetpu_compiler is no part of this product, so the file is not compiled and its coverage not known"
    return _not_tried(profile, why, "Allow a fallback that runs the file until it is compiled.")


def _on_microcontroller(file: ModelFile, profile: Profile, inputs: Path, expected: dict[str, Array]) -> Trial:
    assert profile.memory.arena is not None
    arena = int(profile.memory.arena.value)
    with Worker() as worker:
        graph = from_json(worker.call(Task.READ_TFLITE_GRAPH, model=str(file.path)))
        real, answer = run(file, Task.RUN_TFLITE_MICRO, inputs, worker, arena=arena, output_count=len(file.outputs))
    use = usage_of(graph, CORES.get(profile.architecture), answer)
    return Trial(
        f"{use.sentence(arena)}, at most {_difference(real, expected):.2g} from LiteRT",
        use.figures(describe_machine(), answer["samples"]),
        real,
        attachments={**use.tables(), f"{FOLDER}/{OPERATOR_LIST}": operator_list(file.operators)},
    )


def _on_ethos_u(file: ModelFile, profile: Profile, inputs: Path, expected: dict[str, Array]) -> Trial:
    del inputs, expected
    assert profile.vela is not None
    compiled = file.path.with_name(f"{file.path.stem}-vela.tflite")
    system = profile.vela.model_dump(exclude={"source"})
    with Worker() as worker:
        answer = worker.call(Task.COMPILE_VELA, model=str(file.path), output=str(compiled), **system)
    coverage = answer["npu"] / max(answer["npu"] + answer["cpu"], 1)
    _hold_floor(profile, coverage, f"{answer['cpu']} operators left to the CPU, see Vela's report")
    columns = answer["summary"]
    how = f"Vela, {profile.vela.accelerator_config}, {profile.vela.system_config}, {profile.vela.memory_mode}"
    return Trial(
        f"all {answer['npu']} operators mapped to the NPU by {how}",
        {
            "coverage": Figure(value=coverage, unit="share", kind="estimated", source=how),
            "latency": Figure(value=float(columns["inference_time"]) * 1000, unit="ms", kind="estimated", source=how),
            "sram": Figure(value=float(columns["sram_memory_used"]) * 1024, unit="byte", kind="estimated", source=how),
        },
        attachments={"vela-report.txt": answer["text"].encode(), "vela-summary.csv": _table(columns)},
        replaces=compiled,
    )


_TRIALS: Final[dict[Accelerator, Callable[[ModelFile, Profile, Path, dict[str, Array]], Trial]]] = {
    Accelerator.CPU: _on_cpu,
    Accelerator.GPU: _on_gpu,
    Accelerator.CUDA: _on_provider,
    Accelerator.TENSORRT: _on_provider,
    Accelerator.QNN_HTP: _on_hexagon,
    Accelerator.OPENVINO_NPU: _on_provider,
    Accelerator.EDGE_TPU: _on_edge_tpu,
    Accelerator.MCU: _on_microcontroller,
    Accelerator.ETHOS_U: _on_ethos_u,
}


def _not_tried(profile: Profile, why: str, hint: str = "Convert on a machine that has one.") -> Trial:
    if profile.fallback is None:
        raise CheckFailed(f"{why}, and {profile.name} allows no fallback", hint)
    return Trial(f"not tried on {profile.accelerator}: {why}; the profile allows {profile.fallback}", ran=False)


def _broken(message: str, hint: str) -> CheckFailed:
    return CheckFailed(message, hint)


def _hold_floor(profile: Profile, coverage: float, left: str) -> None:
    if coverage < profile.coverage_floor:
        raise CheckFailed(
            f"{coverage:.0%} of the operators run on {profile.accelerator}, the floor of {profile.name} is "
            f"{profile.coverage_floor:.0%} ({left})",
            "Replace those operators, or lower coverage_floor in a profile of your own.",
        )


def _difference(got: dict[str, Array], expected: dict[str, Array]) -> float:
    return max(float(np.abs(got[name] - expected[name]).max()) for name in expected)


def _steps(spec: TensorSpec, got: Array, expected: Array) -> Array:
    """Each sample's largest difference, in steps of the output's range at 8 bits, whatever width it is stored in."""
    assert spec.quantization is not None
    wide = 256 if spec.datatype in {"UINT16", "INT16"} else 1
    differences = np.abs(got - expected).reshape(len(got), -1).max(axis=1)
    return np.asarray(differences / (spec.quantization.scale * wide), np.float64)


def _measured(value: float, unit: str, where: str, n: int) -> Figure:
    return Figure(value=value, unit=unit, kind="measured", source=f"{where} on {describe_machine()}", n=n)


def _table(columns: dict[str, str]) -> bytes:
    return "\n".join((",".join(columns), ",".join(columns.values()), "")).encode()
