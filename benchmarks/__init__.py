"""Measurements, each one command (README.md)."""
