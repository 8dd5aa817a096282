"""One trial from its data to its record, in whatever process it runs."""
