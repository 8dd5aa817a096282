"""A run directory: taken for one experiment, locked, described."""
