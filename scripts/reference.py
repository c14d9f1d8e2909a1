"""Write docs/reference/ from the tables in the code, so that the documentation cannot disagree with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from edge_contracts.lifecycle import ABORTABLE, MAX_TRANSITIONS, OUTCOMES, diagram
from edge_contracts.reasons import REASONS
from edge_contracts.topics import ROOT, TOPICS
from edge_sdk.cli.failures import EXIT_CODES

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "reference"


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def reasons() -> str:
    """Every reason code with its sentence, next step and retry."""
    rows = [(f"`{code.value}`", info.sentence, info.hint, info.retry.value) for code, info in REASONS.items()]
    return (
        "# Reason codes\n\nWhy a deployment was refused, failed or was undone. `backoff`: the device tries again by "
        "itself, at most five times; `never`: it does not try this content again.\n\n"
        + _table(("code", "what happened", "what to do", "retry"), rows)
    )


def lifecycle() -> str:
    """The states of a deployment and how it moves between them."""
    outcomes = [(f"`{state.value}`", f"`{outcome.value}`") for state, outcome in OUTCOMES.items()]
    return (
        "# The life of a deployment\n\nAgent and server share this table. Every transition is written to the device's "
        f"journal before it takes effect; a deployment takes at most {MAX_TRANSITIONS}. An abort is followed in "
        + ", ".join(f"`{state.value}`" for state in sorted(ABORTABLE))
        + f".\n\n```mermaid\n{diagram()}```\n\nWhat the last state counts as:\n\n"
        + _table(("last state", "outcome"), outcomes)
    )


def topics() -> str:
    """The MQTT topics."""
    rows = [
        (
            f"`{ROOT}/{{tenant}}/{{device}}/{topic.suffix}`",
            f"`{topic.message.__name__}`",
            topic.direction.value,
            topic.qos,
            "yes" if topic.retain else "no",
            "never" if topic.expiry is None else f"{topic.expiry} s",
        )
        for topic in TOPICS
    ]
    return (
        "# MQTT topics\n\nMQTT 5 over TLS with client certificates; a device may use its own topics only. Payloads are "
        "canonical CBOR with a schema version, deflated when that is shorter.\n\n"
        + _table(("topic", "message", "direction", "QoS", "retained", "expires"), rows)
    )


def exit_codes() -> str:
    """The exit codes of `edge-sdk`."""
    rows = [(str(code), meaning) for code, meaning in EXIT_CODES.items()]
    told = "With any of 3 to 7, standard error says in one sentence what happened and in one what to do"
    return f"# Exit codes of edge-sdk\n\nThe same in every version. {told}, and nothing was half-written.\n\n" + _table(
        ("code", "meaning"), rows
    )


PAGES: Final[dict[str, Callable[[], str]]] = {
    "exit-codes.md": exit_codes,
    "reasons.md": reasons,
    "lifecycle.md": lifecycle,
    "topics.md": topics,
}


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())


if __name__ == "__main__":
    main()
