"""A deployed model behind HTTP: Ray Serve, one schema, limits, metrics and a page."""
