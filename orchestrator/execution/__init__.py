"""Runs planned trials, with Ray Tune or in this process."""
