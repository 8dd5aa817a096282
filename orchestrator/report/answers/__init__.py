"""The answer for each model, in words and in parts, and at which look it was made."""
