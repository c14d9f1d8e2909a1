"""The float TFLite file of a canonical SavedModel, by TensorFlow's converter: what passes edit, variants start from.

The converter is asked to put constants behind the flatbuffer, which spares it copies of them all, and not to note its
own settings, for which it would take the file apart once more. The file is written as TFLite files usually are.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from edge_converters.backends import tflite_files
from edge_converters.errors import NotConvertible
from edge_converters.processes import map_large_blocks


def convert(saved_model: str, output: str) -> dict[str, Any]:
    """Write the float file. Only builtin operators: what needs TensorFlow's own kernels is refused with their names."""
    map_large_blocks()
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converter.exclude_conversion_metadata = True
    converter._experimental_use_buffer_offset = True
    try:
        content = converter.convert()
    except Exception as error:  # told apart by its words, for its class is private; any other goes on
        if "not supported by the native TFLite runtime" in str(error) or "needs flex" in str(error).lower():
            words = " ".join(str(error).split())[-300:]
            hint = "Replace these operators in the model; the targets' runtimes have no kernel for them."
            raise NotConvertible(f"TFLite has no builtin operator for part of the model: {words}", hint) from error
        raise
    model = tflite_files.unpack(content)
    _name_ends(model)
    tflite_files.write(model, output)
    return {}


def _name_ends(model: Any) -> None:
    """The converter names an output by the call it comes from, which bears another word where the model has state."""
    for tensor in model.subgraphs[0].tensors:
        tensor.name = tensor.name.replace(b"StatefulPartitionedCall:", b"PartitionedCall:")
