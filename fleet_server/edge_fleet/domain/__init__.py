"""What decides: pure functions on values, without clock, disk, network or log."""
