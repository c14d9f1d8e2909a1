"""The cache: what was put comes back exactly, what is damaged does not, and the folder keeps its bound."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from edge_contracts.ids import Digest
from edge_converters.cache import Cache, default_folder

KEY = Digest.of(b"key")
FILES = {"entry.json": b"{}", "variants/a/model.onnx": bytes(range(256)) * 4, "empty": b""}


def only_file(cache: Cache) -> Path:
    (path,) = (path for path in cache.folder.rglob("*") if path.is_file())
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.dictionaries(st.text(max_size=30), st.binary(max_size=300), max_size=5))
def test_what_was_put_comes_back(tmp_path: Path, files):
    cache = Cache(tmp_path)

    assert cache.put(KEY, files)
    assert cache.get(KEY) == files
    assert cache.get(Digest.of(b"another")) is None


@pytest.mark.parametrize("place", [0, 20, 60, -1])
def test_a_damaged_entry_is_a_miss_and_is_removed(tmp_path: Path, place: int):
    cache = Cache(tmp_path)
    cache.put(KEY, FILES)
    content = bytearray(only_file(cache).read_bytes())
    content[place] ^= 1
    only_file(cache).write_bytes(content)

    assert cache.get(KEY) is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert cache.put(KEY, FILES)
    assert cache.get(KEY) == FILES


def test_an_entry_that_was_cut_short_is_a_miss(tmp_path: Path):
    cache = Cache(tmp_path)
    for length in (0, 5, 40, 200):
        cache.put(KEY, FILES)
        os.truncate(only_file(cache), length)
        assert cache.get(KEY) is None


def test_an_entry_under_the_name_of_another_is_a_miss(tmp_path: Path):
    cache, other = Cache(tmp_path), Digest.of(b"other")
    cache.put(KEY, FILES)
    name = other.partition(":")[2]
    (tmp_path / name[:2]).mkdir(exist_ok=True)
    only_file(cache).rename(tmp_path / name[:2] / name)

    assert cache.get(other) is None


def test_what_was_used_longest_ago_goes_first(tmp_path: Path):
    keys = [Digest.of(bytes([number])) for number in range(5)]
    cache = Cache(tmp_path, most_bytes=3500)
    for age, key in enumerate(keys[:3]):
        cache.put(key, {"file": bytes(1000)})
        name = key.partition(":")[2]
        os.utime(tmp_path / name[:2] / name, (1000 + age, 1000 + age))
    assert cache.get(keys[0]) is not None  # used now

    cache.put(keys[3], {"file": bytes(1000)})

    assert [cache.get(key) is not None for key in keys[:4]] == [True, False, True, True]


def test_an_entry_larger_than_the_bound_does_not_stay_alone_in_the_way(tmp_path: Path):
    cache = Cache(tmp_path, most_bytes=100)
    cache.put(KEY, FILES)
    other = Digest.of(b"other")
    cache.put(other, FILES)

    assert (cache.get(KEY), cache.get(other)) == (None, FILES)


WRITER = """
import sys
from pathlib import Path
from edge_contracts.ids import Digest
from edge_converters.cache import Cache
cache, own = Cache(Path(sys.argv[1]), most_bytes=20_000), bytes([int(sys.argv[2])]) * 3000
for turn in range(200):
    key = Digest.of(bytes([turn % 10]))
    cache.put(key, {"file": own})
    found = cache.get(key)
    assert found is None or (len(found["file"]) == 3000 and len(set(found["file"])) == 1), found
"""


def test_two_processes_at_once_never_see_half_an_entry(tmp_path: Path):
    arguments = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*arguments, str(number)], stderr=subprocess.PIPE) for number in (1, 2)]

    assert [writer.communicate()[1] for writer in writers] == [b"", b""]
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 25_000


def test_a_folder_that_takes_no_files_costs_only_the_entry(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    cache = Cache(tmp_path / "file" / "cache")

    assert not cache.put(KEY, FILES)
    assert cache.get(KEY) is None


def test_the_folder_is_the_one_named_or_the_users(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("EDGE_SDK_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "edge-sdk" / "conversions"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == Path.home() / ".cache" / "edge-sdk" / "conversions"


def test_what_another_process_is_writing_is_left_and_what_a_dead_one_left_goes(tmp_path: Path):
    cache = Cache(tmp_path, most_bytes=100)
    cache.put(KEY, FILES)
    folder = next(tmp_path.iterdir())
    written, left = folder / ".new-now", folder / ".new-then"
    for path in (written, left):
        path.write_bytes(bytes(200))
    os.utime(left, (1, 1))

    cache.put(Digest.of(b"other"), FILES)

    assert written.exists()
    assert not left.exists()
