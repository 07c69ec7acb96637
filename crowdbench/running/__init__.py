"""The steps of a run: predict, then score."""
