"""Experiment trackers (W&B, TensorBoard, MLflow); none can make a trial fail or wait."""
