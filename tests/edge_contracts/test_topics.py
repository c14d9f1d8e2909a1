"""Topic names: made and read by one table, hostile names refused."""

from __future__ import annotations

import pytest

from edge_contracts.errors import Malformed
from edge_contracts.ids import DeviceId, TenantId
from edge_contracts.topics import TOPICS, parse_topic, topic_filter, topic_name

TENANT, DEVICE = TenantId("acme"), DeviceId("gate-7")


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.suffix)
def test_a_topic_name_reads_back(topic):
    assert parse_topic(topic_name(topic, TENANT, DEVICE)) == (topic, TENANT, DEVICE)
    assert topic_filter(topic, "acme") == f"ef/v1/acme/+/{topic.suffix}"


@pytest.mark.parametrize(
    "name",
    ["", "ef/v1/acme/gate-7", "ef/v2/acme/gate-7/hb", "ef/v1/acme/gate-7/hb/x", "ef/v1/acme/gate-7/none",
     "ef/v1/ac me/gate-7/hb", "ef/v1/acme/../hb", "ef/v1/+/gate-7/hb", "ef/v1/acme/#/hb", "ef/v1/acme/" + "a" * 99],
)  # fmt: skip
def test_a_foreign_topic_is_refused(name):
    with pytest.raises(Malformed):
        parse_topic(name)
