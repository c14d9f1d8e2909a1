"""The database's tables as typed rows. What the rows mean is decided in `services` and `domain`, never here."""
