"""What predictors of poses in space share: persons, crops and cameras."""
