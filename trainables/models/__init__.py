"""Models: pretrained encoders and the classifier with its heads."""
