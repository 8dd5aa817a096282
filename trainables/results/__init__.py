"""Metrics, the records of trials and their states."""
