"""Hypothesis settings of the metric tests: the same examples on every run of a CI machine."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "metrics",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile(
    "metrics-ci", settings.get_profile("metrics"), derandomize=True, database=None
)
settings.load_profile("metrics-ci" if os.environ.get("CI") else "metrics")
