"""The search for recipes: many are tried, and the front of loss, time and size is the result."""
