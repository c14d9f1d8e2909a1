"""A bundle is written whole or not at all, and read only if every byte is what the manifest says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_contracts.manifest import MANIFEST_FILE, write_manifest
from edge_contracts.payload import unpack_payload
from edge_converters.bundles import check_place, golden_file, model_file, read_bundle, write_bundle
from edge_converters.errors import InvalidBundle, NotWritten
from tests.support import releases


def bundle_files(version: int = 1) -> dict[str, bytes]:
    made, payload = releases.variant("cpu-litert" if "cpu-litert" in releases.KINDS else next(iter(releases.KINDS)))
    manifest = releases.manifest(made, version=version)
    return {
        MANIFEST_FILE: write_manifest(manifest),
        model_file(made): payload.model,
        golden_file(made): payload.golden,
    }


def test_a_bundle_comes_back_with_the_payloads_that_are_signed(tmp_path: Path):
    files = bundle_files()
    write_bundle(tmp_path / "b", files)

    bundle = read_bundle(tmp_path / "b")

    (variant,) = bundle.manifest.variants
    assert bundle.manifest_bytes == files[MANIFEST_FILE]
    payload = unpack_payload(bundle.payloads[variant.name], variant.model, variant.golden)
    assert payload.model == files[model_file(variant)]


def test_an_earlier_bundle_is_replaced(tmp_path: Path):
    write_bundle(tmp_path / "b", {**bundle_files(1), "old.txt": b"old"})
    write_bundle(tmp_path / "b", bundle_files(2))

    assert read_bundle(tmp_path / "b").manifest.version == 2
    assert not (tmp_path / "b/old.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(NotWritten, match="is not a bundle"):
        write_bundle(tmp_path, bundle_files())

    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_full_disk_leaves_nothing_and_the_earlier_bundle_in_place(tmp_path: Path):
    """A limit on file size stands for the full disk: the same error from the same system call, half-way through."""
    write_bundle(tmp_path / "b", bundle_files(1))
    (tmp_path / "files.json").write_text(json.dumps({name: data.hex() for name, data in bundle_files(2).items()}))
    program = """
import json, pathlib, resource, sys
from edge_converters.bundles import write_bundle
from edge_converters.errors import NotWritten
folder = pathlib.Path(sys.argv[1])
files = {name: bytes.fromhex(data) for name, data in json.loads((folder / "files.json").read_text()).items()}
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bundle(folder / "b", files)
except NotWritten as error:
    print(error, "/", error.hint)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)

    assert "could not be written" in done.stdout, done.stderr
    assert "nothing was left behind" in done.stdout
    assert read_bundle(tmp_path / "b").manifest.version == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "files.json"]


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(NotWritten, match="could not be written to"):
        write_bundle(tmp_path / "file" / "b", bundle_files())


def test_a_place_is_checked_before_there_is_a_bundle(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")

    check_place(tmp_path / "new" / "bundle")
    with pytest.raises(NotWritten, match="is not a bundle"):
        check_place(tmp_path / "mine")
    with pytest.raises(NotWritten, match="could not be written to"):
        check_place(tmp_path / "mine" / "thesis.txt" / "bundle")

    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "thesis.txt"]


def test_a_changed_model_is_not_read(tmp_path: Path):
    write_bundle(tmp_path / "b", bundle_files())
    (model,) = (tmp_path / "b").rglob("model.*")
    model.write_bytes(model.read_bytes()[:-1] + b"\x00")

    with pytest.raises(InvalidBundle, match="differs from the manifest"):
        read_bundle(tmp_path / "b")


def test_a_missing_file_is_named(tmp_path: Path):
    write_bundle(tmp_path / "b", bundle_files())
    (golden,) = (tmp_path / "b").rglob("golden.npz")
    golden.unlink()

    with pytest.raises(InvalidBundle, match=r"golden\.npz is not readable: No such file"):
        read_bundle(tmp_path / "b")


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path):
    with pytest.raises(InvalidBundle, match=r"manifest\.json is not readable"):
        read_bundle(tmp_path)


def test_a_broken_manifest_is_no_bundle(tmp_path: Path):
    (tmp_path / MANIFEST_FILE).write_text("{}")

    with pytest.raises(InvalidBundle, match="Field required"):
        read_bundle(tmp_path)
