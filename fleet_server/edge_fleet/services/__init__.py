"""What the server does for its callers: each service loads rows, lets the domain decide, and writes the result."""
