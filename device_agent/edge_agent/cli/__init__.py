"""The commands of `edge-agent`, one module each. Only here is anything printed."""
