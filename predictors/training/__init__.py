"""Training of pose networks: ``python -m predictors.training RECIPE``."""
