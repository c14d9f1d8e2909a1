"""Every reason code has a sentence and a next step."""

from __future__ import annotations

import pytest

from edge_contracts.errors import Refused
from edge_contracts.reasons import REASONS, Reason


@pytest.mark.parametrize("reason", Reason)
def test_a_refusal_says_what_happened_and_what_to_do(reason):
    refused = Refused(reason, "the detail", 3)
    assert "the detail" in str(refused)
    assert refused.hint == REASONS[reason].hint
    assert refused.hint.endswith(".")
