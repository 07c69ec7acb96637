"""Metrics: pure functions over columnar arrays."""
