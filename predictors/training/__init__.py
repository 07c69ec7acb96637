"""Training of top-down heatmap networks: ``python -m predictors.training RECIPE``."""
