"""Trackers, tested against the real packages."""
