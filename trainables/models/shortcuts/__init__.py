"""Shortcuts: the same model computed in less time or memory."""
