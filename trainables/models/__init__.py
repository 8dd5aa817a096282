"""Models: pretrained encoders, heads, and the classifier made of both."""
