"""MLflow as a projection of the log: runs, registered models and aliases, told by events and by nothing else."""
