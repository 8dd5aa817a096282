"""Training: sampling, optimisation, the loop, metrics, checkpoints."""
