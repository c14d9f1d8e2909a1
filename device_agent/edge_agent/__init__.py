"""The device agent: verifies, swaps and serves models on a device, and rolls back by itself when one fails."""
