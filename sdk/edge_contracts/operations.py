"""What operators and the fleet server say to each other over HTTP: bodies of the operator door, and its scopes.

Every request bears `Authorization: Bearer <operator token>`. Errors are `Problem` (RFC 9457). Lists are pages:
`{"items": [...], "next": cursor or null}`, asked for with `?limit=` (at most 500) and `?cursor=`.

    GET    /v1/health                          no token: is the server up, version, broker connected
    POST   /v1/operator-tokens                 admin    NewOperatorToken -> OperatorToken (secret shown once)
    POST   /v1/enrolment-tokens                enrol    NewEnrolmentToken -> EnrolmentOffer
    GET    /v1/devices  /v1/devices/{id}       read     DeviceView
    POST   /v1/devices/{id}/revoke             enrol    DeviceView
    GET    /v1/trust/keys                      read     OnlineKeys
    PUT    /v1/trust                           publish  Trust: the owner's first (or next) root with its targets
    GET    /v1/metadata/{file}                 read     TUF metadata as stored
    PUT    /v1/artifacts/{sha256 hex}          publish  ciphertext as the body -> 201; 200 when already there
    POST   /v1/releases                        publish  NewRelease -> ReleaseView
    GET    /v1/models  /v1/models/{m}/releases /v1/releases/{m}/{version}          read
    POST   /v1/rollouts                        deploy   NewRollout -> RolloutView
    GET    /v1/rollouts  /v1/rollouts/{id}  /v1/rollouts/{id}/deployments          read
    POST   /v1/rollouts/{id}/{verb}            deploy   start | pause | resume | abort | rollback -> RolloutView
    GET    /v1/telemetry?device=&model=&version=&since=                            read     WindowView
    GET    /v1/alerts   POST /v1/alerts/{id}/acknowledge                           read, deploy   AlertView
    GET    /v1/audit                           read     AuditView
    GET    /v1/stream                          read     server-sent events: {"changed": "devices" | "rollouts" | ...}
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from edge_contracts.ids import DeploymentId, DeviceId, Digest, ModelName, ProfileName, TenantId, VariantName
from edge_contracts.lifecycle import Outcome, State
from edge_contracts.manifest import Count, Manifest
from edge_contracts.messages import RunningRelease
from edge_contracts.reasons import Reason
from edge_contracts.window import TelemetryWindow
from edge_contracts.wire import Utc, Wire

MAX_ARTIFACT_BYTES: Final = 2 * 1024**3
Share = Annotated[float, Field(ge=0, le=1)]
Short = Annotated[str, StringConstraints(max_length=256)]
Version = Annotated[int, Field(ge=1, le=2**31)]


class Scope(StrEnum):
    """What an operator token may do."""

    READ = "read"
    ENROL = "enrol"
    PUBLISH = "publish"
    DEPLOY = "deploy"
    ADMIN = "admin"
    """Everything, and making operator tokens."""


class NewOperatorToken(Wire):
    """Asks for a token for a person or a job."""

    name: Short
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    valid_seconds: Annotated[int, Field(ge=60, le=366 * 86400)] = 30 * 86400


class OperatorToken(Wire):
    """The token, shown this once."""

    name: Short
    secret: str
    scopes: frozenset[Scope]
    expires: Utc


class NewEnrolmentToken(Wire):
    """Asks for a token with which `uses` devices may enrol."""

    uses: Annotated[int, Field(ge=1, le=100_000)] = 1
    valid_seconds: Annotated[int, Field(ge=60, le=30 * 86400)] = 86400
    profile: ProfileName | None = None
    labels: Annotated[dict[str, str], Field(max_length=16)] = {}
    allow_reenrolment: bool = False


class EnrolmentOffer(Wire):
    """A ticket without the owner's root, which the owner's side adds from its own copy."""

    server: Short
    tenant: TenantId
    token: str
    ca: str
    expires: Utc


class OnlineKeys(Wire):
    """Public halves of the server's online keys, as securesystemslib key dictionaries with `keyid`."""

    snapshot: dict[str, object]
    timestamp: dict[str, object]
    director: dict[str, object]


class Trust(Wire):
    """Signed by the owner: root names the keys of each role, targets lists the director's key (its bytes beside)."""

    root: str
    targets: str
    director_key: str


class NewArtifact(Wire):
    """One uploaded artifact of a release, and the key that opens it (the server keeps it under its own)."""

    variant: VariantName
    digest: Digest
    length: Count
    key: Annotated[bytes, Field(min_length=32, max_length=32)]


class NewRelease(Wire):
    """A release: the exact manifest bytes (base64 in JSON) and the publisher's signed targets that list it."""

    manifest: bytes
    targets: str
    artifacts: Annotated[tuple[NewArtifact, ...], Field(min_length=1)]


class ReleaseView(Wire):
    """A published release."""

    model: ModelName
    version: Version
    published: Utc
    manifest: Manifest
    artifacts: dict[str, Digest]


class DeviceStatus(StrEnum):
    """How the server sees a device."""

    ONLINE = "online"
    SILENT = "silent"
    NEVER_SEEN = "never-seen"
    REVOKED = "revoked"


class DeviceView(Wire):
    """A device as last reported."""

    id: DeviceId
    profile: ProfileName
    status: DeviceStatus
    labels: dict[str, str] = {}
    enrolled: Utc
    last_seen: Utc | None = None
    state: State | None = None
    running: RunningRelease | None = None
    agent_version: Short | None = None
    engines: tuple[Short, ...] = ()
    rollout: str | None = None
    rss_bytes: Count = 0
    inferences: Count = 0


class Selector(Wire):
    """Which devices: all that match every given condition. Frozen when the rollout starts."""

    profiles: tuple[ProfileName, ...] = ()
    labels: dict[str, str] = {}
    devices: tuple[DeviceId, ...] = ()


class OnBreach(StrEnum):
    """What follows when a gate is breached."""

    PAUSE = "pause"
    ABORT = "abort"
    ROLL_BACK = "roll-back"


class Gates(Wire):
    """Conditions to go on. Error is judged before success; too little data holds, it never passes."""

    success_share: Share = 0.95
    """Of the devices of the wave that reported an outcome, at least this share succeeded."""
    error_share: Share = 0.10
    """Breached when more than this share failed or rolled back ..."""
    error_minimum: Annotated[int, Field(ge=1)] = 1
    """... and at least this many did."""
    quorum_share: Share = 0.9
    """Of the devices of the wave, at least this share must have reported an outcome."""
    alerts_breach: bool = True
    """An open drift alert on the release breaches."""


class NewRollout(Wire):
    """A plan. `waves` are cumulative shares of the selection; every profile of it is in wave one."""

    name: Short = ""
    model: ModelName
    version: Version
    selector: Selector = Selector()
    waves: Annotated[tuple[Share, ...], Field(min_length=1, max_length=20)] = (0.01, 0.05, 0.25, 0.5, 1.0)
    bake_seconds: Annotated[float, Field(ge=0, le=30 * 86400)] = 3600.0
    wave_deadline_seconds: Annotated[float, Field(gt=0, le=90 * 86400)] = 86400.0
    probation_seconds: Annotated[float, Field(gt=0, le=30 * 86400)] = 600.0
    probation_inferences: Count = 0
    gates: Gates = Gates()
    on_breach: OnBreach = OnBreach.ROLL_BACK
    start: bool = True


class RolloutState(StrEnum):
    """Where a rollout stands."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    ABORTED = "aborted"
    ROLLING_BACK = "rolling-back"
    ROLLED_BACK = "rolled-back"


class WaveView(Wire):
    """One wave's devices by what became of them."""

    number: int
    devices: Count
    pending: Count = 0
    updating: Count = 0
    succeeded: Count = 0
    failed: Count = 0
    rolled_back: Count = 0
    aborted: Count = 0


class RolloutView(Wire):
    """A rollout, its plan and its progress. `reason` says why it stands where it stands."""

    id: str
    plan: NewRollout
    state: RolloutState
    wave: int
    waves: tuple[WaveView, ...]
    reason: str = ""
    created: Utc
    updated: Utc


class DeploymentView(Wire):
    """A device's share of a rollout."""

    id: DeploymentId
    device: DeviceId
    wave: int
    state: State | None = None
    outcome: Outcome | None = None
    reason: Reason | None = None
    detail: str = ""
    updated: Utc


class WindowView(Wire):
    """A telemetry window and who sent it."""

    device: DeviceId
    received: Utc
    window: TelemetryWindow


class AlertView(Wire):
    """Something a person should look at. `effect` is a size, with its name; `since` the start of the first window."""

    id: str
    kind: Short
    severity: Short
    model: ModelName | None = None
    version: Version | None = None
    devices: tuple[DeviceId, ...] = ()
    group: Short | None = None
    features: tuple[Short, ...] = ()
    effect_name: Short | None = None
    effect: float | None = None
    evidence: float | None = None
    since: Utc
    raised: Utc
    message: str
    hint: str = ""
    acknowledged: bool = False


class AuditView(Wire):
    """Who did what, when."""

    at: Utc
    actor: Short
    action: Short
    subject: Short
    detail: str = ""
