"""crowdbench: benchmark human-pose estimators where people crowd and cover each other."""

__version__ = "0.1.0"
