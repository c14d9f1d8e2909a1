"""How much memory a conversion takes: what the frameworks take for an almost empty model, and what a large one adds.

Dense layers of random weights: only bytes are counted here, no accuracy. The figures are the conversion's own, from its
report: the peaks of its processes, added up. What is left of the Keras route is TensorFlow's quantiser, which is given
the model and builds it anew. Not among the routes is Keras -> ONNX: tf2onnx by itself holds a model near fifty times.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from _other_quantisers import ONNXRUNTIME_ALONE, TENSORFLOW
from onnx import TensorProto, helper, numpy_helper

from edge_converters import Guard, Method, Proof, convert
from edge_converters.datasets import Data, Samples, make_data
from edge_converters.memory import Memory
from edge_profiles.boards import load

WIDTHS = (16, 1024, 2048)
LAYERS = 6
ANY_DROP = Proof(Guard(max_drop=1.0, slack=1.0))
KERAS = """
import sys, keras
path, width, layers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
keras.utils.set_random_seed(0)
stack = [keras.layers.Dense(width, activation="relu") for _ in range(layers)]
keras.Sequential([keras.Input((width,)), *stack, keras.layers.Dense(4, activation="softmax")]).save(path)
"""


RAW_KERAS = TENSORFLOW.replace(
    "converter = tf.lite.TFLiteConverter.from_saved_model(source)",
    "import keras; converter = tf.lite.TFLiteConverter.from_keras_model(keras.models.load_model(source))",
)
TELL = "\nfrom edge_converters.processes import peak_bytes; print(peak_bytes())"


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
    data, method = samples(width), Method(latency=False)
    outcome = convert(source, [load(profile)], data, output=output, proof=ANY_DROP, method=method)
    assert outcome.memory is not None
    return outcome.memory


def raw_peak(raw: str, source: Path, width: int) -> int:
    """Bytes that the raw converter takes at most."""
    rows = source.with_suffix(".npy")
    np.save(rows, samples(width).calibration.x)
    program = [sys.executable, "-c", raw + TELL, str(source), str(rows), str(source.with_suffix(".raw"))]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def main() -> None:
    for title, make, raw, profile in (
        ("ONNX -> QDQ u8s8", onnx_model, ONNXRUNTIME_ALONE, "x86-64-vnni"),
        ("Keras -> TFLite int8", keras_model, RAW_KERAS, "rpi4-litert"),
    ):
        with tempfile.TemporaryDirectory() as place:
            sources = [make(width, Path(place)) for width in WIDTHS]
            pairs = list(zip(sources, WIDTHS, strict=True))
            found = [measured(source, width, profile, source.with_suffix(".bundle")) for source, width in pairs]
            raws = [raw_peak(raw, source, width) for source, width in pairs]
        empty, raw_empty = found[0], raws[0]
        print(f"{title}: an almost empty model takes {empty.peak / 1e6:.0f} MB (imports: {empty.libraries / 1e6:.0f})")
        print(f"  the raw converter {raw_empty / 1e6:.0f} MB")
        for memory, peak in list(zip(found, raws, strict=True))[1:]:
            size = memory.float_bytes
            assert size is not None
            print(
                f"  a float model of {size / 1e6:.0f} MB adds {(memory.peak - empty.peak) / size:.1f} times its size; "
                f"to the raw converter {(peak - raw_empty) / size:.1f} times"
            )


if __name__ == "__main__":
    main()
