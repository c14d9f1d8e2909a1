"""How much memory a conversion takes: what the frameworks take for an almost empty model, and what a large one adds.

Dense layers of random weights: only bytes are counted here, no accuracy. The figures are the conversion's own, from its
report: the peaks of its processes, added up.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_contracts.ids import ModelName
from edge_converters.conversion import convert
from edge_converters.datasets import Data, Samples, make_data
from edge_converters.guard import Guard
from edge_converters.memory import Memory
from edge_profiles.boards import load

WIDTHS = (16, 1024, 2048)
LAYERS = 6
ANY_DROP = Guard(max_drop=1.0, slack=1.0)
KERAS = """
import sys, keras
path, width, layers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
keras.utils.set_random_seed(0)
stack = [keras.layers.Dense(width, activation="relu") for _ in range(layers)]
keras.Sequential([keras.Input((width,)), *stack, keras.layers.Dense(4, activation="softmax")]).save(path)
"""


def keras_model(width: int, folder: Path) -> Path:
    path = folder / f"{width}.keras"
    subprocess.run([sys.executable, "-c", KERAS, str(path), str(width), str(LAYERS)], check=True, capture_output=True)
    return path


def onnx_model(width: int, folder: Path) -> Path:
    rng = np.random.default_rng(0)
    sides = [(width, width)] * LAYERS + [(width, 4)]
    weights = [rng.normal(0, side[0] ** -0.5, side).astype(np.float32) for side in sides]
    nodes, last = [], "x"
    for number in range(len(weights)):
        nodes.append(helper.make_node("MatMul", [last, f"w{number}"], [f"h{number}"]))
        last = f"r{number}"
        nodes.append(helper.make_node("Relu" if number < LAYERS else "Softmax", [f"h{number}"], [last]))
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n])] for name, n in (("x", width), (last, 4))]
    kept = [numpy_helper.from_array(each, f"w{number}") for number, each in enumerate(weights)]
    model = helper.make_model(helper.make_graph(nodes, "g", *ends, kept), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    path = folder / f"{width}.onnx"
    onnx.save(model, path)
    return path


def samples(width: int) -> Data:
    x = np.random.default_rng(1).normal(size=(60, width)).astype(np.float32)
    return make_data(Samples(x[:20], None), Samples(x[20:], None))


def measured(source: Path, width: int, profile: str, output: Path) -> Memory:
    name = ModelName("dense")
    outcome = convert(source, [load(profile)], samples(width), output=output, model=name, guard=ANY_DROP, latency=False)
    assert outcome.memory is not None
    return outcome.memory


def main() -> None:
    for title, make, profile in (
        ("ONNX -> QDQ u8s8", onnx_model, "x86-64-vnni"),
        ("Keras -> TFLite int8", keras_model, "rpi4-litert"),
    ):
        with tempfile.TemporaryDirectory() as place:
            found = [
                measured(make(width, Path(place)), width, profile, Path(place) / f"bundle-{width}") for width in WIDTHS
            ]
        empty = found[0]
        print(f"{title}: an almost empty model takes {empty.peak / 1e6:.0f} MB (imports: {empty.libraries / 1e6:.0f})")
        for memory in found[1:]:
            assert memory.float_bytes is not None
            added = (memory.peak - empty.peak) / memory.float_bytes
            print(f"  a float model of {memory.float_bytes / 1e6:.0f} MB adds {added:.2f} times its size")


if __name__ == "__main__":
    main()
