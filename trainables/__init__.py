"""One trial: its data, its model, its training, and the Ray Tune Trainables around it."""
