"""What an experiment is: every key of a preset."""
