"""Plan the grid, schedule it with Ray Tune, keep the results, compare and report."""
