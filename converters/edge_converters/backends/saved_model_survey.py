"""What is in a SavedModel folder, read without loading it: its graph may call Python or touch files when loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from edge_converters.errors import BadInput, NotConvertible
from edge_converters.lint.facts import Facts, Node, Trouble, Weight, to_json
from edge_converters.lint.findings import EXPORT_AGAIN, HINTS, Code
from edge_converters.lint.operators import REMARKS

GRAPH, VARIABLES = "saved_model.pb", "variables/variables"
NEVER_RUN = frozenset({Code.RUNS_CODE, Code.OUTSIDE_FILES})
KEEPERS = ("traced_save", "traced_restore")
"""Functions that TensorFlow writes into every folder, for its own saving and restoring."""


def survey(source: str) -> dict[str, Any]:
    """The facts of a folder.

    Raises:
        BadInput: a file of it is missing or damaged.
    """
    graph = _graph(source)
    functions = {each.signature.name: list(each.node_def) for each in graph.graph_def.library.function}
    served = _served(graph, functions)
    return to_json(
        Facts(
            "saved-model",
            nodes=tuple(_nodes(graph, functions, served)),
            weights=(*_variables(source), *_constants(functions, served)),
            troubles=tuple(_recursion(functions)),
        )
    )


def refuse_code(source: str) -> None:
    """That nothing in the folder would run code or touch files. Asked before every loading.

    Raises:
        BadInput: a file of it is missing or damaged.
        NotConvertible: it holds such an operator, which is named.
    """
    graph = _graph(source)
    functions = {each.signature.name: list(each.node_def) for each in graph.graph_def.library.function}
    for remark in (each for each in REMARKS if each.code in NEVER_RUN):
        for node in (*graph.graph_def.node, *(node for body in functions.values() for node in body)):
            if node.op in remark.operators.get("saved-model", frozenset()):
                sentence = f"{Path(source).name}: {node.op} {node.name!r} {remark.why}"
                raise NotConvertible(sentence, HINTS[remark.code])


def _graph(source: str) -> Any:
    message = saved_model_pb2.SavedModel()
    try:
        message.ParseFromString((Path(source) / GRAPH).read_bytes())
    except (OSError, DecodeError, RecursionError) as error:
        raise _damaged(source, f"{GRAPH}: {error}") from error
    if not message.meta_graphs:
        raise _damaged(source, f"{GRAPH} holds no graph")
    return message.meta_graphs[0]


def _damaged(source: str, words: str) -> BadInput:
    return BadInput(f"{source} is not a readable model: {' '.join(words.split())[:200]}", EXPORT_AGAIN)


def _called(node: Any) -> set[str]:
    """The functions that an operator calls, by its attributes or by being one."""
    named = {value.func.name for value in node.attr.values() if value.HasField("func")}
    listed = {each.name for value in node.attr.values() for each in value.list.func}
    return {node.op, *named, *listed}


def _served(graph: Any, functions: dict[str, list[Any]]) -> set[str]:
    """Functions that the graph's signatures reach: all but those that only save and restore."""
    reached: set[str] = set()
    waiting = {name for node in graph.graph_def.node for name in _called(node)} & set(functions)
    waiting = {name for name in waiting if not any(part in name for part in KEEPERS)}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= ({each for node in functions[name] for each in _called(node)} & set(functions)) - reached
    return reached


def _nodes(graph: Any, functions: dict[str, list[Any]], served: set[str]) -> Iterator[Node]:
    watched = frozenset().union(
        *(each.operators.get("saved-model", frozenset()) for each in REMARKS if each.code in NEVER_RUN)
    )
    for body, reached in (
        (graph.graph_def.node, False),
        *((nodes, name in served) for name, nodes in functions.items()),
    ):
        for node in body:
            if not reached and node.op not in watched:
                continue
            if node.op in functions:
                continue
            known = op_def_registry.get(node.op) is not None
            yield Node(node.name, node.op, "" if known else "a library of its own", known=known)


def _recursion(functions: dict[str, list[Any]]) -> Iterator[Trouble]:
    calls = {
        name: {each for node in body for each in _called(node)} & set(functions) for name, body in functions.items()
    }
    left = dict(calls)
    while free := [name for name, called in left.items() if not called & set(left)]:
        for name in free:
            del left[name]
    if left:
        yield Trouble(Code.RECURSION, f"functions call each other in a circle: {', '.join(sorted(left)[:3])}")


def _variables(source: str) -> Iterator[Weight]:
    index = Path(source) / f"{VARIABLES}.index"
    if not (Path(source) / "variables").exists():
        return
    if not index.is_file():
        raise _damaged(source, "variables/variables.index is missing")
    try:
        reader = tf.train.load_checkpoint(str(Path(source) / VARIABLES))
        kinds = reader.get_variable_to_dtype_map()
        for name in sorted(kinds):
            if kinds[name].is_floating:
                yield _weight(name, reader.get_tensor(name))
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError, SystemError) as error:
        raise _damaged(source, f"its variables: {error}") from error


def _constants(functions: dict[str, list[Any]], served: Iterable[str]) -> Iterator[Weight]:
    for name in sorted(served):
        for node in functions[name]:
            if node.op == "Const" and node.attr["value"].tensor.dtype in {
                tf.float32.as_datatype_enum,
                tf.float64.as_datatype_enum,
            }:
                values = tf.make_ndarray(node.attr["value"].tensor)
                yield _weight(node.name, values, computes=values.size > 1)


def _weight(name: str, values: Any, *, computes: bool = True) -> Weight:
    array = np.asarray(values, np.float64)
    finite = array[np.isfinite(array)]
    nan, infinite = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    kept = name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")
    return Weight(
        kept,
        str(np.asarray(values).dtype),
        array.size,
        nan,
        infinite,
        float(np.abs(finite).max(initial=0)),
        "",
        computes,
    )
