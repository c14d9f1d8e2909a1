"""From an error to the exit code of the command: one table."""

from __future__ import annotations

from typing import Final

from edge_agent.ports import AgentError

INTERRUPTED: Final = 130

EXIT_CODES: Final[dict[int, str]] = {
    0: "done, or stopped as asked",
    1: "the agent had to end; its supervisor should start it again",
    2: "the command line is wrong",
    3: "the settings or faults are not usable",
    4: "the device is not enrolled, or enrolment failed",
    5: "the address of the inference API is in use or not allowed",
    6: "the state folder cannot be used: full, not writable or damaged",
    7: "no agent is running with this state folder, or one is running already",
    INTERRUPTED: "interrupted",
}


def exit_code(error: AgentError) -> int:
    """The code with which the command ends after `error`."""
    from edge_agent.adapters.control import NotRunning
    from edge_agent.adapters.enrolment import EnrolmentFailed
    from edge_agent.adapters.identity import IdentityBroken
    from edge_agent.adapters.inference_http import CannotListen
    from edge_agent.adapters.worker_orders import BadFault
    from edge_agent.config import ConfigError
    from edge_agent.core.storage import StorageFailed
    from edge_agent.daemon import AlreadyRunning, NotEnrolled, StateUnusable, WrongProfile

    table: dict[type[AgentError], int] = {
        ConfigError: 3,
        BadFault: 3,
        WrongProfile: 3,
        NotEnrolled: 4,
        EnrolmentFailed: 4,
        IdentityBroken: 4,
        CannotListen: 5,
        StateUnusable: 6,
        StorageFailed: 6,
        NotRunning: 7,
        AlreadyRunning: 7,
    }
    return next((code for kind, code in table.items() if isinstance(error, kind)), 1)
