"""The private Mosquitto: writes its configuration, starts it, starts it again when it dies, stops it.

Its rules: TLS 1.2 or later, a certificate of our authority, the certificate's common name is the user. A device may
write its own up-topics and read its own down-topics, nothing else.
"""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from edge_contracts.ids import DeviceId, TenantId
from edge_contracts.topics import ROOT, TOPICS, Direction
from edge_fleet.adapters.files import PRIVATE, write_whole
from edge_fleet.errors import CannotStart

_log = logging.getLogger(__name__)

SERVER_USER: Final = "server.fleet"
"""Common name of the server's own certificate. No device id has a dot."""
START_SECONDS: Final = 10.0
RESTART_SECONDS: Final = 1.0
LOG_BYTES: Final = 16 * 1024 * 1024
_PLACES: Final = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin"

_CONFIGURATION: Final = """\
per_listener_settings false
user {user}
listener {port} {host}
cafile {authority}
certfile {certificate}
keyfile {key}
crlfile {revoked}
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file {access}
persistence true
persistence_location {store}/
autosave_interval 60
max_inflight_messages 1000
max_queued_messages 100000
max_queued_bytes 268435456
max_packet_size 300000
persistent_client_expiration 14d
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false
"""


@dataclass(frozen=True)
class BrokerFiles:
    """What the broker reads, as paths, and the folder that is its own."""

    folder: Path
    authority: Path
    certificate: Path
    key: Path
    revoked: Path


class Mosquitto:
    """The broker's process."""

    def __init__(self, program: str, host: str, port: int, files: BrokerFiles, tenant: TenantId) -> None:
        self.host = host
        self.port = port
        self._files = files
        self._tenant = tenant
        self._program = _find(program)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    @property
    def _log_path(self) -> Path:
        return self._files.folder / "mosquitto.log"

    @contextmanager
    def running(self) -> Iterator[Mosquitto]:
        """The broker answers inside the block, and is started again when it dies. Call `ban` before.

        Raises:
            CannotStart: it does not come up; the sentence has its last words.
        """
        self._configure()
        self._start()
        guard = threading.Thread(target=self._guard, name="broker-guard", daemon=True)
        guard.start()
        try:
            yield self
        finally:
            self._stopping.set()
            self._terminate()
            guard.join(timeout=10)

    def ban(self, banned: tuple[DeviceId, ...]) -> None:
        """From now on exactly these devices are shut out, those connected now included.

        The revocation list, which the caller has written, takes effect with it.
        """
        write_whole(self._files.folder / "access", access_list(self._tenant, banned).encode(), PRIVATE)
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(signal.SIGHUP)

    def _configure(self) -> None:
        files = self._files
        store = files.folder / "store"
        store.mkdir(mode=0o700, exist_ok=True)
        text = _CONFIGURATION.format(
            user=pwd.getpwuid(os.geteuid()).pw_name,
            host=self.host,
            port=self.port,
            authority=files.authority,
            certificate=files.certificate,
            key=files.key,
            revoked=files.revoked,
            access=files.folder / "access",
            store=store,
        )
        write_whole(files.folder / "mosquitto.conf", text.encode())

    def _start(self) -> None:
        with self._lock, self._open_log() as log:
            if self._stopping.is_set():
                return
            configuration = str(self._files.folder / "mosquitto.conf")
            # The kernel ends the broker when the thread that started it ends, however the server dies.
            command = ["setpriv", "--pdeathsig", "TERM", self._program, "-c", configuration]
            # A session of its own, so that Ctrl+C at a terminal reaches the server alone, which then stops it in order.
            self._process = process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._files.folder,
                start_new_session=True,
            )
        self._await_answer(process)

    def _open_log(self) -> BinaryIO:
        """The log goes on, unless it has grown too long: then it begins anew."""
        long = self._log_path.exists() and self._log_path.stat().st_size > LOG_BYTES
        return self._log_path.open("wb" if long else "ab")

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            try:
                socket.create_connection((self.host, self.port), 1.0).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        process.kill()
        words = self._log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-2:]
        message = f"The broker does not start on {self.host}:{self.port}: {' / '.join(words) or 'it said nothing'}"
        raise CannotStart("broker-failed", message, f"See {self._log_path}; name another port with --broker-port.")

    def _guard(self) -> None:
        while not self._stopping.is_set():
            process = self._process
            assert process is not None
            code = process.wait()
            if self._stopping.wait(RESTART_SECONDS):
                return
            _log.error("the broker ended with code %s and is started again", code)
            try:
                self._start()
            except CannotStart as error:
                _log.error("%s", error)

    def _terminate(self) -> None:
        with self._lock:
            process = self._process
            if process is None:
                return
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def access_list(tenant: TenantId, banned: tuple[DeviceId, ...] = ()) -> str:
    """Mosquitto's access list, from the table of topics."""
    allowed = {Direction.UP: "write", Direction.DOWN: "read"}
    lines = [f"user {SERVER_USER}", f"topic readwrite {ROOT}/{tenant}/#", ""]
    for device in banned:
        lines += [f"user {device}", "topic deny #", ""]
    lines += [f"pattern {allowed[topic.direction]} {ROOT}/{tenant}/%u/{topic.suffix}" for topic in TOPICS]
    return "\n".join(lines) + "\n"


def _find(program: str) -> str:
    found = shutil.which(program) or shutil.which(program, path=_PLACES)
    if found is None:
        hint = "Install it (Debian: apt-get install mosquitto), or name it as broker.program in the settings."
        raise CannotStart("broker-missing", f"The MQTT broker {program!r} is not on this machine", hint)
    return found
