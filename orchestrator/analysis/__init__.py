"""Statistics of comparisons, over arrays: intervals, verdicts and what would settle them.

It knows nothing of trials, records or files. Names of axes: ``seeds`` are the runs of one arm,
``examples`` those of the split on which they are scored.
"""
