"""What travels between the parts of edge-sdk: words, messages, tables, checks. Touches no disk and no network."""
