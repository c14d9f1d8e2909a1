"""Thin adapters that act: processes, files, HTTP, MQTT, engines."""
