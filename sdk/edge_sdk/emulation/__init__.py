"""Emulated devices: real agents as child processes, each with an identity, a folder and the engine its class claims."""
