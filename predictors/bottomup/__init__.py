"""What bottom-up predictors share: resizing, peaks, mirror images and scales, grouping, scores."""
