"""Presets and search spaces: pure values, and the code that reads them."""
