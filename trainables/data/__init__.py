"""Data: tasks, sources, splits, token cache, batches."""
