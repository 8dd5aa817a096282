"""Experiment trackers; none of them can make a trial fail or wait."""
