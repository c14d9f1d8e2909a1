"""How a variant stands up to worse inputs than it was judged by, beside its float model."""
