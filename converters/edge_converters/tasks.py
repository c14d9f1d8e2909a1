"""What a child process can be asked to do: one table of tasks, each with its function and the extra it needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Task(StrEnum):
    """One call into a backend. Arguments and answers are JSON; arrays and models travel as files."""

    SURVEY_KERAS = "survey-keras"
    SURVEY_SAVED_MODEL = "survey-saved-model"
    SURVEY_ONNX = "survey-onnx"
    SURVEY_TFLITE = "survey-tflite"
    DESCRIBE_TENSORFLOW = "describe-tensorflow"
    PREPARE_TENSORFLOW = "prepare-tensorflow"
    TRAIN_KERAS = "train-keras"
    RUN_TENSORFLOW_SOURCE = "run-tensorflow-source"
    TENSORFLOW_TO_ONNX = "tensorflow-to-onnx"
    TFLITE_FROM_SAVED_MODEL = "tflite-from-saved-model"
    MAKE_TFLITE = "make-tflite"
    DESCRIBE_ONNX = "describe-onnx"
    PREPARE_ONNX = "prepare-onnx"
    RUN_ONNX_SOURCE = "run-onnx-source"
    DESCRIBE_TFLITE = "describe-tflite"
    PREPARE_TFLITE = "prepare-tflite"
    RUN_TFLITE_SOURCE = "run-tflite-source"
    TFLITE_TO_ONNX = "tflite-to-onnx"
    STEP_AGAINST_SOURCE = "step-against-source"
    ONNX_TO_TENSORFLOW = "onnx-to-tensorflow"
    MAKE_ONNX = "make-onnx"
    TRANSFORM = "transform"
    CHOOSE_RANGES = "choose-ranges"
    LIST_LAYERS = "list-layers"
    INSPECT_TFLITE = "inspect-tflite"
    INSPECT_ONNX = "inspect-onnx"
    READ_TFLITE_GRAPH = "read-tflite-graph"
    COMPARE_TFLITE_LAYERS = "compare-tflite-layers"
    COMPARE_ONNX_LAYERS = "compare-onnx-layers"
    RUN_LITERT = "run-litert"
    RUN_LITERT_GPU = "run-litert-gpu"
    RUN_ONNXRUNTIME = "run-onnxruntime"
    RUN_PROVIDER = "run-provider"
    RUN_QNN = "run-qnn"
    RUN_TFLITE_MICRO = "run-tflite-micro"
    MEASURE_ARENA = "measure-arena"
    COMPILE_VELA = "compile-vela"
    TIME_LITERT = "time-litert"
    TIME_LITERT_GPU = "time-litert-gpu"
    TIME_ONNXRUNTIME = "time-onnxruntime"
    TIME_QNN = "time-qnn"


@dataclass(frozen=True)
class Implementation:
    """Where a task is implemented, and the extra that brings its libraries."""

    module: str
    function: str
    extra: str = "convert"


def _at(place: str, extra: str = "convert") -> Implementation:
    module, function = place.split(".")
    return Implementation(f"edge_converters.backends.{module}", function, extra)


TASKS: Final[dict[Task, Implementation]] = {
    Task.SURVEY_KERAS: _at("keras_survey.survey"),
    Task.SURVEY_SAVED_MODEL: _at("saved_model_survey.survey"),
    Task.SURVEY_ONNX: _at("onnx_survey.survey"),
    Task.SURVEY_TFLITE: _at("tflite_survey.survey"),
    Task.DESCRIBE_TENSORFLOW: _at("tensorflow_source.describe"),
    Task.PREPARE_TENSORFLOW: _at("tensorflow_source.prepare"),
    Task.TRAIN_KERAS: _at("keras_lessons.train"),
    Task.RUN_TENSORFLOW_SOURCE: _at("tensorflow_source.run_source"),
    Task.TENSORFLOW_TO_ONNX: _at("onnx_export.export"),
    Task.TFLITE_FROM_SAVED_MODEL: _at("tflite_float.convert"),
    Task.MAKE_TFLITE: _at("tflite_variant.make"),
    Task.DESCRIBE_ONNX: _at("onnx_source.describe"),
    Task.PREPARE_ONNX: _at("onnx_source.prepare"),
    Task.RUN_ONNX_SOURCE: _at("onnxruntime_engine.run_source"),
    Task.DESCRIBE_TFLITE: _at("tflite_source.describe"),
    Task.PREPARE_TFLITE: _at("tflite_source.prepare"),
    Task.RUN_TFLITE_SOURCE: _at("tflite_source.run_source"),
    Task.TFLITE_TO_ONNX: _at("tflite_export.export"),
    Task.STEP_AGAINST_SOURCE: _at("tensorflow_gradients.attack"),
    Task.ONNX_TO_TENSORFLOW: _at("onnx_import.to_saved_model"),
    Task.MAKE_ONNX: _at("onnx_variant.make"),
    Task.TRANSFORM: _at("transformation.transform"),
    Task.CHOOSE_RANGES: _at("transformation.find_ranges"),
    Task.LIST_LAYERS: _at("transformation.list_layers"),
    Task.INSPECT_TFLITE: _at("tflite_inspection.inspect"),
    Task.INSPECT_ONNX: _at("onnx_inspection.inspect"),
    Task.READ_TFLITE_GRAPH: _at("tflite_graph.read"),
    Task.COMPARE_TFLITE_LAYERS: _at("tflite_layers_compared.compare_files"),
    Task.COMPARE_ONNX_LAYERS: _at("onnx_layers_compared.compare_files"),
    Task.RUN_LITERT: _at("litert_engine.run"),
    Task.RUN_LITERT_GPU: _at("litert_gpu_engine.run"),
    Task.RUN_ONNXRUNTIME: _at("onnxruntime_engine.run"),
    Task.RUN_PROVIDER: _at("onnxruntime_provider_engine.run"),
    Task.RUN_QNN: _at("qnn_engine.run", "qnn"),
    Task.RUN_TFLITE_MICRO: _at("tflite_micro_engine.run", "tflm"),
    Task.MEASURE_ARENA: _at("tflite_micro_engine.measure_arena", "tflm"),
    Task.COMPILE_VELA: _at("vela_compiler.compile_model"),
    Task.TIME_LITERT: _at("litert_engine.measure"),
    Task.TIME_LITERT_GPU: _at("litert_gpu_engine.measure"),
    Task.TIME_ONNXRUNTIME: _at("onnxruntime_engine.measure"),
    Task.TIME_QNN: _at("qnn_engine.measure", "qnn"),
}
