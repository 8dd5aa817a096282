"""The command ``submit``: a grid as a job of a Ray cluster that is elsewhere."""
