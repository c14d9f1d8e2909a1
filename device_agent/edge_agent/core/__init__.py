"""Pure decisions of the agent: no clock, disk, network or process inside."""
