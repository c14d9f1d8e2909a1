"""The fleet server: devices, releases, rollouts, telemetry. Judges models by numbers and never runs one."""
