"""What `edge-sdk convert` cannot use: one sentence with what to do, a stable exit code, nothing written."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_profiles.boards import FOLDER as BOARDS
from tests.support.commands import Done, assert_refused, contents, edge_sdk
from tests.support.disks import fill, small_disk
from tests.support.releases import MODELS

ONNX = MODELS / "digits-fp32.onnx"
HDF5 = b"\x89HDF\r\n\x1a\n"
Spoil = Callable[[Path, np.ndarray, np.ndarray], object]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with a good model and good data, and a folder for temporary files."""
    with np.load(MODELS / "samples.npz") as samples:
        x, y = samples["x"], samples["y"]
    np.savez(tmp_path / "c.npz", x=x[:20])
    np.savez(tmp_path / "e.npz", x=x[20:], y=y[20:])
    (tmp_path / "digits.onnx").write_bytes(ONNX.read_bytes())
    (tmp_path / "tmp").mkdir()
    return tmp_path


def convert(work: Path, *more: str | Path, model: str = "digits.onnx", profile: str = "x86-64-vnni") -> Done:
    data = ("--calibration", "c.npz", "--evaluation", "e.npz")
    return edge_sdk("convert", model, "--profile", profile, *data, *more, folder=work, TMPDIR=str(work / "tmp"))


def assert_nothing_made(work: Path, done: Done, sentence: str, before: dict[str, str]) -> None:
    assert_refused(done, 3, sentence)
    assert contents(work) == before


DATA: dict[str, tuple[Spoil, str]] = {
    "without x": (lambda at, x, y: np.savez(at, images=x, y=y), r"e\.npz has no array x \(it has: images, y\)"),
    "objects": (lambda at, x, y: np.savez(at, x=np.array([{}] * 40)), r"e\.npz is not readable: x and y must be"),
    "text": (lambda at, x, y: np.savez(at, x=x.astype(str)), r"x is <U\d+, not numbers"),
    "NaN": (lambda at, x, y: np.savez(at, x=np.where(x == x[3], np.nan, x)), r"sample \d+ of x holds NaN"),
    "no samples": (lambda at, x, y: np.savez(at, x=np.float32(1)), r"x has the shape \(\)"),
    "too few": (lambda at, x, y: np.savez(at, x=x[:5], y=y[:5]), "holds 5 samples, at least 16 are needed"),
    "labels missing": (lambda at, x, y: np.savez(at, x=x, y=y[1:]), "44 samples in x and 43 labels in y"),
    "labels in words": (lambda at, x, y: np.savez(at, x=x, y=y.astype(str)), "y is <U"),
    "labels that are no numbers": (lambda at, x, y: np.savez(at, x=x, y=y * np.nan), "y is float64 of shape"),
    "other shape": (lambda at, x, y: np.savez(at, x=x[:, :7], y=y), r"\(8, 8, 1\) in c\.npz and \(7, 8, 1\) in e\.npz"),
    "cut short": (lambda at, x, y: at.write_bytes(at.read_bytes()[:4000]), "no .npz file, or was cut short"),
    "one byte changed": (lambda at, x, y: at.write_bytes(changed(at.read_bytes())), r"e\.npz is not readable: it is"),
    "one array": (lambda at, x, y: at.write_bytes(b"\x93NUMPY\x01\x00"), "no .npz file"),
    "not there": (lambda at, x, y: at.unlink(), r"e\.npz is not readable: No such file"),
}


def changed(data: bytes) -> bytes:
    return data[:2000] + bytes([data[2000] ^ 1]) + data[2001:]


@pytest.mark.parametrize(("spoil", "sentence"), DATA.values(), ids=DATA.keys())
def test_data_that_cannot_be_used_is_told_before_a_model_is_touched(work: Path, spoil: Spoil, sentence: str) -> None:
    with np.load(work / "e.npz") as good:
        x, y = good["x"], good["y"]
    spoil(work / "e.npz", x, y)
    (work / "digits.onnx").unlink()  # whoever looked at it first would speak of it
    before = contents(work)

    assert_nothing_made(work, convert(work), sentence, before)


def test_a_sample_in_both_files_is_refused(work: Path) -> None:
    with np.load(work / "e.npz") as good:
        np.savez(work / "c.npz", x=good["x"][:1])
    before = contents(work)

    assert_nothing_made(work, convert(work), r"1 of 44 samples of e\.npz are also in c\.npz", before)


MODEL: dict[str, tuple[str, bytes | None, str]] = {
    "not there": ("m.keras", None, "m.keras is not readable: No such file"),
    "Keras cut short": ("m.keras", b"PK\x03\x04 half", "m.keras was cut short"),
    "Keras empty": ("m.keras", b"", "not a .keras file"),
    "HDF5 of another kind": ("m.h5", b"<html>", "not a .h5 file"),
    "ONNX of another kind": ("m.onnx", b"no model", "not a readable ONNX model"),
    "ONNX cut short": ("m.onnx", ONNX.read_bytes()[:4000], "not a readable ONNX model"),
    "PyTorch": ("m.pt", b"weights", r"\.pt is not a kind of model"),
    "folder": ("tmp", None, r"tmp is a folder without saved_model\.pb"),
}


@pytest.mark.parametrize(("name", "data", "sentence"), MODEL.values(), ids=MODEL.keys())
def test_a_model_that_cannot_be_read_is_refused(work: Path, name: str, data: bytes | None, sentence: str) -> None:
    if data is not None:
        (work / name).write_bytes(data)
    before = contents(work)

    assert_nothing_made(work, convert(work, model=name), sentence, before)


def keras_without_model(work: Path) -> str:
    with zipfile.ZipFile(work / "m.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    return "m.keras"


def half_hdf5(work: Path) -> str:
    (work / "m.h5").write_bytes(HDF5 + bytes(2000))
    return "m.h5"


def broken_saved_model(work: Path) -> str:
    (work / "m" / "variables").mkdir(parents=True)
    (work / "m" / "saved_model.pb").write_bytes(b"\x08\x01\x12 half of a graph")
    return "m"


@pytest.mark.slow
@pytest.mark.parametrize("make", [keras_without_model, half_hdf5, broken_saved_model])
def test_a_file_that_only_its_library_finds_corrupt_is_refused(work: Path, make: Callable[[Path], str]) -> None:
    name = make(work)
    before = contents(work)

    assert_nothing_made(work, convert(work, model=name, profile="rpi4-litert"), f"{name} is not a readable", before)


def test_samples_of_a_shape_that_the_model_does_not_take_are_refused(work: Path) -> None:
    for name in ("c.npz", "e.npz"):
        with np.load(work / name) as good:
            arrays = {key: good[key][:, :7] if key == "x" else good[key] for key in good.files}
        np.savez(work / name, **arrays)
    before = contents(work)

    assert_nothing_made(work, convert(work), r"the shape \(7, 8, 1\), the model takes \(8, 8, 1\)", before)


PROFILE = (BOARDS / "rpi4-litert.toml").read_text()
PROFILES: dict[str, tuple[str, str]] = {
    "not TOML": (PROFILE.replace('"', "", 1), r"mine\.toml is not TOML: .* line \d+"),
    "unknown key": (f"colour = 1\n{PROFILE}", "`colour` is not a key of the format"),
    "missing key": (PROFILE.replace("class =", "#", 1), "`class` is missing"),
    "not text": ("\udcff", r"mine\.toml is not TOML"),
}


@pytest.mark.parametrize(("text", "sentence"), PROFILES.values(), ids=PROFILES.keys())
def test_a_broken_profile_is_refused(work: Path, text: str, sentence: str) -> None:
    (work / "mine.toml").write_text(text, errors="surrogateescape")
    before = contents(work)

    assert_nothing_made(work, convert(work, profile="./mine.toml"), sentence, before)
    assert_refused(edge_sdk("profiles", "validate", "mine.toml", folder=work), 3, sentence)


def test_an_unknown_profile_is_refused_with_the_known_ones(work: Path) -> None:
    before = contents(work)

    done = convert(work, profile="commodore-64")

    assert_nothing_made(work, done, "there is no hardware profile 'commodore-64'", before)
    assert "rpi4-litert" in done.stderr


PLACES: dict[str, tuple[str, str]] = {
    "taken": ("tmp", "tmp exists and is not a bundle"),
    "a file": ("c.npz", r"c\.npz exists and is not a bundle"),
    "under a file": ("c.npz/bundle", "could not be written to"),
    "not writable": ("/proc/bundle", "could not be written to /proc/bundle"),
}


@pytest.mark.parametrize(("place", "sentence"), PLACES.values(), ids=PLACES.keys())
def test_a_place_that_cannot_take_the_bundle_is_told_before_the_work(work: Path, place: str, sentence: str) -> None:
    (work / "tmp" / "thesis.txt").write_text("years of work")
    (work / "digits.onnx").unlink()
    before = contents(work)

    assert_nothing_made(work, convert(work, "--output", place), sentence, before)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--model", "My Model"), "My Model"),
        (("--labels", "digits.onnx"), "digits.onnx is not a readable text file"),
        (("--labels", "few.txt"), "there are 2 (labels|class names)"),
        (("--profile", "x86-64-vnni"), "the profile x86-64-vnni was given twice"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused(work: Path, more: tuple[str, ...], sentence: str) -> None:
    (work / "few.txt").write_text("zero\none\n")
    before = contents(work)

    assert_nothing_made(work, convert(work, *more), sentence, before)


@pytest.mark.slow
def test_a_full_disk_leaves_no_bundle(work: Path) -> None:
    lenient = ("--max-drop", "1", "--slack", "1")
    with small_disk(work / "disk", "64k") as disk:
        fill(disk, room=8192)

        done = convert(work, *lenient, "--output", "disk/bundle")

        assert_refused(done, 3, "could not be written to .*disk/bundle: No space left on device")
        assert [path.name for path in disk.iterdir()] == ["ballast"]
    assert list((work / "tmp").iterdir()) == []


def test_a_full_disk_for_temporary_files_is_named(work: Path) -> None:
    with small_disk(work / "disk", "64k") as disk:
        fill(disk, room=24 * 1024)  # Python works elsewhere when there is no room at all
        data = ("--calibration", "c.npz", "--evaluation", "e.npz")
        profile = ("--profile", "x86-64-vnni")

        done = edge_sdk("convert", "digits.onnx", *profile, *data, folder=work, TMPDIR=str(disk))

        assert_refused(done, 3, "there is no room to work in .*disk|No space left on device")
        assert [path.name for path in disk.iterdir()] == ["ballast"]
    assert not (work / "digits-1.bundle").exists()
