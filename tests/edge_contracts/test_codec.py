"""Messages as bytes: the golden files never change meaning, hostile bytes are refused, unknown fields survive."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_contracts.codec import MAX_MESSAGE_BYTES, MAX_PLAIN_BYTES, decode, encode
from edge_contracts.errors import Malformed
from edge_contracts.messages import Ack, Birth, Desired, Heartbeat
from edge_contracts.topics import TOPICS
from edge_contracts.window import TelemetryWindow
from tests.edge_contracts.messages_examples import EXAMPLES

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.suffix)
def test_every_message_of_the_table_has_a_golden_file_that_still_reads(topic):
    example = EXAMPLES[topic.suffix]
    golden = (GOLDEN / f"{topic.suffix}.cbor").read_bytes()
    assert decode(topic.message, golden) == example


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.suffix)
def test_a_message_survives_the_wire(topic):
    example = EXAMPLES[topic.suffix]
    assert decode(topic.message, encode(example)) == example
    assert encode(decode(topic.message, encode(example))) == encode(example)


def test_a_field_of_a_newer_version_survives_an_older_reader():
    data = b"\x00" + cbor2.dumps({"v": 1, "kind": "desired", "counter": 3, "colour": "blue"})
    again = cbor2.loads(encode(decode(Desired, data))[1:])
    assert again["colour"] == "blue"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes"),
        (b"\x00" * (MAX_MESSAGE_BYTES + 1), f"{MAX_MESSAGE_BYTES + 1} bytes"),
        (b"\x07abc", "unknown encoding"),
        (b"\x00\xff\xff", "not CBOR"),
        (b"\x00" + cbor2.dumps([1, 2]), "not one CBOR map"),
        (b"\x00" + cbor2.dumps({1: 2}), "not one CBOR map"),
        (b"\x00" + cbor2.dumps({"v": 1, "kind": "desired", "counter": 3}) + b"\x00", "not one CBOR map"),
        (b"\x00" + cbor2.dumps({"v": 2, "counter": 3}), "schema version 2"),
        (b"\x00" + cbor2.dumps({"v": 1, "counter": -3}), "Desired.counter"),
        (b"\x01not zlib", "not zlib"),
        (b"\x01" + zlib.compress(b"\x00" * (MAX_PLAIN_BYTES + 1)), "inflates beyond"),
        (b"\x01" + zlib.compress(b"\x00" * 100)[:-6], "cut short"),
        (b"\x00" + b"\x81" * 100_000, "not"),
    ],
)
def test_hostile_bytes_are_refused_with_a_sentence(data, says):
    with pytest.raises(Malformed, match=says):
        decode(Desired, data)


_AROUND: list[object] = []
_AROUND.append(_AROUND)
_SHARED: list[object] = [0]
for _ in range(12):
    _SHARED = [_SHARED] * 20


@pytest.mark.parametrize(
    "inside",
    [
        cbor2.CBORTag(4000, 1),
        cbor2.undefined,
        cbor2.CBORSimpleValue(99),
        re.compile("a+"),
        datetime(2026, 1, 1, tzinfo=UTC),
        2**20_000,
        -(2**63) - 1,
        {1: 2},
        {1, 2},
        _AROUND,
        _SHARED,
        reduce(lambda inner, _: [inner], range(300), 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_plain_values_come_in(inside):
    fields = {"v": 1, "kind": "desired", "counter": 3, "newer": inside}
    data = cbor2.dumps(fields, value_sharing=inside is _SHARED or inside is _AROUND)
    with pytest.raises(Malformed, match="plain"):
        decode(Desired, b"\x00" + data)


def test_a_device_has_no_endless_list_of_engines():
    born = EXAMPLES["birth"].model_copy(update={"engines": ("onnxruntime/cpu",) * 65})
    with pytest.raises(Malformed, match=r"Birth\.engines"):
        decode(Birth, encode(born))


@pytest.mark.parametrize("version", [2**20_000, -1, "x" * 1000, [[1]], None], ids=lambda value: type(value).__name__)
def test_any_other_schema_version_is_malformed(version):
    with pytest.raises(Malformed) as refusal:
        decode(Desired, b"\x00" + cbor2.dumps({"v": version, "kind": "desired", "counter": 3}))
    assert len(str(refusal.value)) < 200


def test_the_senders_words_cannot_forge_a_line_of_a_log():
    data = cbor2.dumps({"v": 1, "features": {"a\nWARNING all is well " * 50: 1}})
    with pytest.raises(Malformed) as refusal:
        decode(TelemetryWindow, b"\x00" + data)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


@given(st.binary(max_size=400))
def test_random_bytes_never_raise_anything_but_malformed(data):
    try:
        decode(Heartbeat, data)
    except Malformed:
        return


@given(st.text(max_size=36), st.lists(st.integers(0, 2**40), max_size=50))
def test_any_ack_survives_the_wire(boot, sequences):
    ack = Ack(boot=boot, sequences=tuple(sequences))
    assert decode(Ack, encode(ack)) == ack
