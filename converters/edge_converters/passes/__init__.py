"""Passes over the neutral float graph: each module one method, each function pure, its paper named."""
