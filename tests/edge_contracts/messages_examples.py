"""One example of every message, with every field set: the golden files hold their bytes."""

from __future__ import annotations

from edge_contracts import messages, topics
from edge_contracts.ids import DeploymentId, Digest, ModelName, ProfileName, VariantName
from edge_contracts.lifecycle import Outcome, State
from edge_contracts.reasons import Reason
from edge_contracts.window import Clock, FeatureCounts, Health, TelemetryWindow
from edge_contracts.wire import Wire

BOOT = "0b7c9a52-6a1e-4a51-9df0-2d3c8b1f7e11"
RUNNING = messages.RunningRelease(
    model=ModelName("digits"),
    version=7,
    variant=VariantName("hexagon-qdq"),
    engine="onnxruntime",
    accelerator="qnn-htp",
    fallback=False,
    coverage=1.0,
)

EXAMPLES: dict[str, Wire] = {
    topics.BIRTH.suffix: messages.Birth(
        boot=BOOT,
        at=1_790_000_000.5,
        profile=ProfileName("hexagon"),
        agent_version="0.1.0",
        engines=("onnxruntime/cpu", "onnxruntime/qnn-htp"),
        state=State.IDLE,
        running=RUNNING,
    ),
    topics.DEATH.suffix: messages.Death(boot=BOOT),
    topics.HEARTBEAT.suffix: messages.Heartbeat(
        boot=BOOT,
        at=1_790_000_060.0,
        state=State.PROBATION,
        running=RUNNING,
        rss_bytes=81_000_000,
        inferences=1234,
        spool_bytes=4096,
    ),
    topics.EVENT.suffix: messages.DeploymentReport(
        boot=BOOT,
        sequence=9,
        at=1_790_000_061.0,
        deployment=DeploymentId("d-1"),
        model=ModelName("digits"),
        version=8,
        state=State.ROLLED_BACK,
        outcome=Outcome.ROLLED_BACK,
        reason=Reason.PROBATION_OUTPUTS,
        detail="the same class 200 times",
        progress=1.0,
    ),
    topics.WINDOW.suffix: TelemetryWindow(
        model=ModelName("digits"),
        version=7,
        variant=VariantName("hexagon-qdq"),
        model_digest=Digest("sha256:" + "ab" * 32),
        slot="active",
        start=1_790_000_000.0,
        end=1_790_000_900.0,
        clock=Clock.FLOOR,
        boot=BOOT,
        sequence=10,
        n=3,
        errors=1,
        features={
            "image.mean": FeatureCounts(
                missing=1, non_finite=2, out_of_range=3, total=1.5, squares=2.25, counts=(1, 2) + (0,) * 30
            )
        },
        classes=(1, 0, 2),
        confidence=(0,) * 63 + (3,),
        latency=(0,) * 20 + (3,) + (0,) * 43,
        health=Health(rss_bytes=81_000_000, worker_restarts=1, temperature_c=51.5, fallback=True),
    ),
    topics.DESIRED.suffix: messages.Desired(counter=12),
    topics.COMMAND.suffix: messages.Command(
        name=messages.CommandName.ABORT, deployment=DeploymentId("d-1"), expires=1_790_003_600.0
    ),
    topics.ACK.suffix: messages.Ack(boot=BOOT, sequences=(9, 10)),
}
