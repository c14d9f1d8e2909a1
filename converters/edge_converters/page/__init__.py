"""A conversion's report as one HTML page that needs nothing else."""
