"""The Python API and the edge-sdk command: convert, pack, sign, publish and watch models on devices."""
