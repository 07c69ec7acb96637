"""Facts as YAML: data sets (`datasets/`) and published results (`published/`)."""
