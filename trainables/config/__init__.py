"""Every setting that decides a trial's numbers."""
