"""What a trial measures and records."""
