"""The only place where ML libraries are imported, each at the top of one module, and only ever in a child process."""
