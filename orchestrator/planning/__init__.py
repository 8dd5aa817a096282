"""From a configuration to the trials that run and what each needs."""
