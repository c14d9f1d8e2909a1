"""The C sources that carry a model into a firmware that has TFLite Micro: values in, texts out. Pure.

The same values give the same bytes. They hold no kernels: firmware made from the graph itself would be another library
beside this one, from the same values.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from edge_contracts.manifest import DataType, TensorSpec
from edge_converters.mcu.identifiers import commented, identifier, quoted
from edge_converters.mcu.operators import methods

FOLDER: Final = "c"
HEADER: Final = "model.h"
DATA: Final = "model_data.c"
OPERATORS: Final = "model_ops.h"
EXAMPLE: Final = "example.cc"
README: Final = "README.md"
OPERATOR_LIST: Final = "operators.txt"
"""TFLite's names, one a line: for build scripts, and for who writes the rest from what is kept of a conversion."""

ALIGNMENT: Final = 16
"""Bytes. What TFLite Micro asks of the model and of the arena."""
C_TYPES: Final[dict[DataType, str]] = {
    DataType.BOOL: "bool",
    DataType.INT8: "int8_t",
    DataType.UINT8: "uint8_t",
    DataType.INT16: "int16_t",
    DataType.UINT16: "uint16_t",
    DataType.INT32: "int32_t",
    DataType.INT64: "int64_t",
    DataType.FP16: "uint16_t",
    DataType.FP32: "float",
}
"""A half-precision number has no type in C: its bits are handed on."""


@dataclass(frozen=True)
class Contents:
    """What the library says. `name` is the model's, in any letters; `arena` in bytes, `arena_reason` how it came about.

    `operators` have TFLite's names.
    """

    name: str
    version: int
    model: bytes
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    labels: tuple[str, ...]
    operators: tuple[str, ...]
    arena: int
    arena_reason: str

    @property
    def prefix(self) -> str:
        """What every name in the library begins with."""
        return identifier(self.name)

    @property
    def macro(self) -> str:
        """What every macro in the library begins with."""
        return self.prefix.upper()


def operator_list(operators: Collection[str]) -> bytes:
    """The file that names the operators."""
    return _lines(sorted(operators))


def write_library(contents: Contents) -> dict[str, bytes]:
    """The library's files by name.

    Raises:
        CheckFailed: TFLite Micro cannot register one of the operators.
    """
    texts = {
        HEADER: _header(contents),
        DATA: _data(contents),
        OPERATORS: _operators(contents),
        EXAMPLE: _example(contents),
        README: _readme(contents),
    }
    files = {name: _lines(lines) for name, lines in texts.items()}
    return {**files, OPERATOR_LIST: operator_list(contents.operators)}


def probe(contents: Contents) -> Mapping[str, bytes]:
    """A `main` that reads what the header declares, so that a linker keeps it."""
    prefix, macro = contents.prefix, contents.macro
    labels = [f"    sum += (unsigned char){prefix}_labels[{macro}_LABEL_COUNT - 1][0];"] if contents.labels else []
    lines = [
        f'#include "{HEADER}"',
        "",
        "int main(void) {",
        f"    volatile const unsigned char *data = {prefix}_model;",
        f"    unsigned int sum = data[0] + data[{macro}_MODEL_LENGTH - 1u];",
        *labels,
        "    return (int)sum;",
        "}",
    ]
    return {"main.c": _lines(lines)}


def _header(contents: Contents) -> Iterator[str]:
    prefix, macro = contents.prefix, contents.macro
    yield f"/* {_title(contents)}. Written by edge-sdk; do not edit. */"
    yield from (f"#ifndef {macro}_MODEL_H_", f"#define {macro}_MODEL_H_", "")
    yield from ("#include <stdbool.h>", "#include <stddef.h>", "#include <stdint.h>", "")
    yield f"#define {macro}_MODEL_VERSION {contents.version}"
    yield f"#define {macro}_MODEL_LENGTH {len(contents.model)}u"
    yield f"#define {macro}_OPERATOR_COUNT {len(contents.operators)}"
    yield ""
    yield f"/* Bytes of the tensor arena: {commented(contents.arena_reason)}. */"
    yield f"#define {macro}_ARENA_BYTES {contents.arena}u"
    yield f"#define {macro}_ALIGNMENT {ALIGNMENT}"
    for kind, specs in (("input", contents.inputs), ("output", contents.outputs)):
        yield from ("", f"#define {macro}_{kind.upper()}_COUNT {len(specs)}")
        for index, spec in enumerate(specs):
            yield from _tensor(f"{prefix}_{kind}_{index}", spec)
    yield from ("", "#ifdef __cplusplus", 'extern "C" {', "#endif", "")
    yield f"/* The .tflite file, aligned to {ALIGNMENT} bytes. */"
    yield f"extern const unsigned char {prefix}_model[{macro}_MODEL_LENGTH];"
    if contents.labels:
        yield from ("", f"#define {macro}_LABEL_COUNT {len(contents.labels)}")
        yield "/* By place in the output, in UTF-8. */"
        yield f"extern const char *const {prefix}_labels[{macro}_LABEL_COUNT];"
    yield from ("", "#ifdef __cplusplus", "}", "#endif", "", f"#endif /* {macro}_MODEL_H_ */")


def _tensor(name: str, spec: TensorSpec) -> Iterator[str]:
    macro = name.upper()
    yield ""
    yield f"typedef {C_TYPES[spec.datatype]} {name}_t;"
    yield f"#define {macro}_NAME {quoted(spec.name)}"
    yield f"#define {macro}_RANK {len(spec.shape)}"
    yield f"#define {macro}_SHAPE {{{', '.join(str(abs(side)) for side in spec.shape)}}}"
    yield f"#define {macro}_ELEMENTS {math.prod(abs(side) for side in spec.shape)}u"
    if spec.quantization is not None:
        yield f"/* real = {macro}_SCALE * (stored - {macro}_ZERO_POINT) */"
        yield f"#define {macro}_SCALE {_float(spec.quantization.scale)}"
        yield f"#define {macro}_ZERO_POINT ({spec.quantization.zero_point})"


def _data(contents: Contents) -> Iterator[str]:
    prefix, macro = contents.prefix, contents.macro
    yield f"/* {_title(contents)}. Written by edge-sdk; do not edit. */"
    yield from (f'#include "{HEADER}"', "")
    yield from ("#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L", f"_Alignas({macro}_ALIGNMENT)", "#else")
    yield from (f"__attribute__((aligned({macro}_ALIGNMENT)))", "#endif")
    yield f"const unsigned char {prefix}_model[{macro}_MODEL_LENGTH] = {{"
    for start in range(0, len(contents.model), 16):
        yield f"    {', '.join(f'0x{byte:02x}' for byte in contents.model[start : start + 16])},"
    yield "};"
    if contents.labels:
        yield from ("", f"const char *const {prefix}_labels[{macro}_LABEL_COUNT] = {{")
        yield from (f"    {quoted(label)}," for label in contents.labels)
        yield "};"


def _operators(contents: Contents) -> Iterator[str]:
    prefix, macro = contents.prefix, contents.macro
    yield f"/* {_title(contents)}: its operators. Written by edge-sdk; do not edit. */"
    yield from (f"#ifndef {macro}_MODEL_OPS_H_", f"#define {macro}_MODEL_OPS_H_", "", f'#include "{HEADER}"', "")
    yield f"namespace {prefix}_ops {{"
    yield from ("", f"constexpr unsigned int kOperatorCount = {macro}_OPERATOR_COUNT;", "")
    yield "/* Registers the model's kernels with a MicroMutableOpResolver<kOperatorCount>; false if one has no room."
    yield "   A template, so that it fits every version of TFLite Micro. */"
    yield from ("template <typename Resolver>", "bool RegisterOperators(Resolver& resolver) {")
    calls = [f"static_cast<int>(resolver.{method}()) == 0" for method in methods(contents.operators)] or ["true"]
    yield f"  return {(' &&' + chr(10) + '         ').join(calls)};"
    yield from ("}", "", f"}}  // namespace {prefix}_ops", "", f"#endif /* {macro}_MODEL_OPS_H_ */")


def _example(contents: Contents) -> Iterator[str]:
    prefix, macro = contents.prefix, contents.macro
    yield f"/* How a firmware runs {_title(contents)}. Written by edge-sdk as a start of your own. */"
    yield from ("#include <cstdint>", "")
    yield '#include "tensorflow/lite/micro/micro_interpreter.h"'
    yield '#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"'
    yield '#include "tensorflow/lite/schema/schema_generated.h"'
    yield from (f'#include "{HEADER}"', f'#include "{OPERATORS}"', "")
    yield "// TFLite Micro's classes are in tflite, in newer versions in tflite::micro."
    yield from ("namespace tflite { namespace micro {} }", "using namespace tflite;", "using namespace tflite::micro;")
    yield ""
    yield "namespace {"
    yield f"alignas({macro}_ALIGNMENT) uint8_t arena[{macro}_ARENA_BYTES];"
    yield f"MicroMutableOpResolver<{prefix}_ops::kOperatorCount> resolver;"
    yield from ("}  // namespace", "")
    yield "// What `input` holds goes in, what comes out goes to `output`, both as stored; 0 if all went well."
    yield f"int {prefix}_infer(const {prefix}_input_0_t* input, {prefix}_output_0_t* output) {{"
    yield f"  static const bool registered = {prefix}_ops::RegisterOperators(resolver);"
    yield f"  static MicroInterpreter interpreter(GetModel({prefix}_model), resolver, arena, sizeof(arena));"
    yield "  static const bool ready = registered && static_cast<int>(interpreter.AllocateTensors()) == 0;"
    yield "  if (!ready) return 1;"
    yield f"  auto* in = static_cast<{prefix}_input_0_t*>(interpreter.input(0)->data.data);"
    yield f"  for (unsigned int i = 0; i < {macro}_INPUT_0_ELEMENTS; ++i) in[i] = input[i];"
    yield "  if (static_cast<int>(interpreter.Invoke()) != 0) return 2;"
    yield f"  const auto* out = static_cast<const {prefix}_output_0_t*>(interpreter.output(0)->data.data);"
    yield f"  for (unsigned int i = 0; i < {macro}_OUTPUT_0_ELEMENTS; ++i) output[i] = out[i];"
    yield from ("  return 0;", "}")


def _readme(contents: Contents) -> Iterator[str]:
    yield from (f"# {_title(contents)}, for TFLite Micro", "")
    yield from ("| file | what |", "|---|---|")
    yield f"| {HEADER} | sizes, names, shapes, types and scales; C and C++ |"
    yield f"| {DATA} | the model, byte for byte the bundle's file, and its labels |"
    yield f"| {OPERATORS} | registers the kernels it needs, and no other; C++ |"
    yield f"| {OPERATOR_LIST} | the same in TFLite's names, for build scripts |"
    yield f"| {EXAMPLE} | the few lines around it |"
    yield from ("", f"Arena: {contents.arena} bytes: {commented(contents.arena_reason)}.", "")
    yield f"Operators: {', '.join(contents.operators)}."
    yield from ("", "Compile the sources with your firmware and TFLite Micro's own, which are not part of this folder.")


def _title(contents: Contents) -> str:
    return f"{commented(contents.name)}, version {contents.version}"


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _float(value: float) -> str:
    """A C literal that gives back the same 32-bit number."""
    text = f"{value:.9g}"
    return f"{text}f" if set(".e") & set(text) else f"{text}.0f"
