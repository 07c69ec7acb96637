"""Metrics: pure functions over columnar arrays."""

# For intervals, where nobody asks for another number.
RESAMPLES = 1_000
