"""Settings are read strictly: what is wrong is named, with what to do; the printed example is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_agent.config import Config, ConfigError, example, read_config

REQUIRED = 'state_dir = "state"\nprofile = "rpi4-litert"\n'


def read(folder: Path, text: str) -> Config:
    path = folder / "edge-agent.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path)


def test_two_keys_are_enough_and_relative_paths_start_at_the_file(tmp_path):
    config = read(tmp_path, REQUIRED + '[inference]\nunix_socket = "run/agent.sock"\n')

    assert config.state_dir == tmp_path / "state"
    assert config.inference.unix_socket == tmp_path / "run" / "agent.sock"
    assert (config.telemetry.window_s, config.link.reconnect_cap_s, config.telemetry.spool_mib) == (900, 300, 16)
    assert not config.faults.active


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ("state_dir = ", "is not TOML", "Text needs quotes"),
        ('profile = "rpi4-litert"', "'state_dir' is missing", "edge-agent config"),
        (REQUIRED + "memory = 5", "unknown key 'memory'", "Known here: faults, inference"),
        (REQUIRED + "[inference]\nprot = 80", "unknown key 'inference.prot'", "host, port, unix_socket"),
        (REQUIRED + '[inference]\nport = "80"', "inference.port = '80'", "Correct"),
        (REQUIRED + "[inference]\nport = 70000", "less than or equal to 65535", "Correct"),
        (REQUIRED + "[telemetry]\nwindow_s = 0", "greater than 0", "Correct"),
        (REQUIRED + "[telemetry]\nwindow_s = inf", "telemetry.window_s", "Correct"),
        (REQUIRED + "link = 3", "link = 3", "Correct"),
        ('state_dir = "state"\nprofile = "Raspberry Pi"', "'Raspberry Pi' is not a name", "a-z, 0-9"),
        (REQUIRED + '[log]\nlevel = "loud"', "log.level = 'loud'", "Correct"),
        (REQUIRED + "labels = {" + ", ".join(f'l{i} = "x"' for i in range(17)) + "}", "at most 16 labels", "Correct"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_what_to_do(tmp_path, text, sentence, hint):
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, text)

    assert sentence in str(refused.value)
    assert hint in refused.value.hint


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read") as refused:
        read_config(tmp_path / "none.toml")
    assert "edge-agent config" in refused.value.hint


def test_the_example_holds_every_key_with_its_true_default(tmp_path):
    text = example("/var/lib/x", "rpi4-litert")
    commented_in = re.sub(r'^#(\w+ = (?!"\.\.\."))', r"\1", text, flags=re.MULTILINE)

    plain, full = read(tmp_path, text), read(tmp_path, commented_in)

    assert plain == full == Config(state_dir=Path("/var/lib/x"), profile="rpi4-litert")
    keys = set(re.findall(r"^#?(\w+) = ", text, re.MULTILINE))
    tables = [type(value) for value in dict(plain).values() if hasattr(type(value), "model_fields")]
    assert keys >= {name for table in tables for name in table.model_fields}
