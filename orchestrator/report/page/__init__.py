"""The report of a grid: one HTML page that needs nothing else, and its figures."""
