"""Fixtures of the telemetry tests."""

from tests.support.broker import broker

__all__ = ["broker"]
