"""The three strategies."""
