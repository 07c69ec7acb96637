"""The gate: does a run keep the rules, measured against a baseline and beyond noise."""

# More than for intervals to show: those of many rules reach further out.
RESAMPLES = 4_000
