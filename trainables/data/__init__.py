"""Data: where a task's examples come from, and how they become batches of tokens."""
