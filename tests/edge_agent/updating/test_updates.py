"""The updater as the daemon opens it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from edge_agent.adapters.identity import Identity
from edge_agent.adapters.serving import ProcessServing
from edge_agent.adapters.updates import hold_file, open_updater
from tests.edge_agent.updating.device import QUICK, Census, Kept
from tests.edge_agent.updating.door import Door


def test_the_daemon_s_updater_installs_a_release(door: Door, identity: Identity, state_dir: Path) -> None:
    serving, reports, stop = ProcessServing(), Kept(state_dir / "reports.jsonl"), threading.Event()
    door.assign(door.publish(1), "d-1")
    with open_updater(
        identity, state_dir, serving=serving, census=Census(), reports=reports, settings=QUICK
    ) as updater:
        thread = threading.Thread(target=updater.run, args=(stop,))
        thread.start()
        deadline = time.monotonic() + 30
        while not reports.ends() and time.monotonic() < deadline:
            time.sleep(0.05)
        stop.set()
        updater.wake()
        thread.join(timeout=10)
        assert not thread.is_alive()
    active = serving.active()
    serving.close()
    assert reports.ends() == [("d-1", "succeeded", None)]
    assert active is not None
    assert active.manifest.version == 1


def test_a_hold_says_why(tmp_path: Path) -> None:
    held = hold_file(tmp_path / "hold")
    assert held() is None
    (tmp_path / "hold").touch()
    assert held() == "no reason given"
    (tmp_path / "hold").write_text("in surgery\nuntil noon\n")
    assert held() == "in surgery"
