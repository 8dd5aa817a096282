"""Starts Ray or joins a cluster, and talks to its nodes."""
