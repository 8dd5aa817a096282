"""Reproducibility checklists of conferences, filled in from a run directory's records."""
