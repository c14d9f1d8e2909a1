"""A source is recognised by its bytes before anything heavy starts."""

from __future__ import annotations

import pytest

from edge_converters.errors import BadInput
from edge_converters.sources import SourceKind, recognise


def test_a_saved_model_is_known_by_its_file_and_its_digest_covers_the_weights(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables/data").write_bytes(b"weights")
    before = recognise(tmp_path)
    (tmp_path / "variables/data").write_bytes(b"other weights")

    assert before.kind is SourceKind.SAVED_MODEL
    assert recognise(tmp_path).digest != before.digest


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("model.keras", b"<html>not found</html>", "is not a .keras file: it begins with other bytes"),
        ("model.keras", b"PK\x03\x04 half of it", "was cut short"),
        ("model.h5", b"", "is not a .h5 file"),
        ("model.onnx", b"", "is not a .onnx file"),
        ("model.pt", b"weights", r"\.pt is not a kind of model that is converted"),
        ("model", b"weights", "no suffix is not a kind"),
    ],
)
def test_what_is_not_a_model_is_refused(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(BadInput, match=sentence) as refusal:
        recognise(path)

    assert refusal.value.hint


def test_a_missing_file_and_an_empty_folder_are_named(tmp_path):
    with pytest.raises(BadInput, match="No such file"):
        recognise(tmp_path / "nothing.onnx")
    with pytest.raises(BadInput, match=r"a folder without saved_model\.pb"):
        recognise(tmp_path)
