"""What top-down predictors share: person crops, flipped heatmaps, decoding, pose scores."""
