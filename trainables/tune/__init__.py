"""Ray Tune's side of a trial: the only package here that imports Ray."""
