"""The engines. Each module here runs models on one accelerator and is the only place that imports its library."""
