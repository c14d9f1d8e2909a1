"""The values of a small C library, with names and labels that C does not take as they are."""

from __future__ import annotations

from edge_contracts.manifest import DataType, Quantization, TensorSpec
from edge_converters.mcu.library import Contents

MODEL = bytes(range(256)) * 5 + b"\xff"
INPUT = TensorSpec(
    name='mel "49"', datatype=DataType.INT8, shape=(1, 49, 10, 1), quantization=Quantization(scale=0.1, zero_point=-3)
)
OUTPUT = TensorSpec(name="probabilities", datatype=DataType.INT16, shape=(-1, 3))
LABELS = ('say "yes"', "what??/now", "größer\n2")
CONTENTS = Contents(
    name="Key words, v2",
    version=7,
    model=MODEL,
    inputs=(INPUT,),
    outputs=(OUTPUT,),
    labels=LABELS,
    operators=("CONV_2D", "SOFTMAX"),
    arena=4096,
    arena_reason="for a reason that ends */ early",
)
