"""What is wrong with a source model, told with names before work starts."""
