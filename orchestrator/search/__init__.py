"""Hyperparameter search: the same number of trials for every group."""
