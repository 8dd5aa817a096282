"""Predictions for the rows of a file, in memory that does not grow with it."""
