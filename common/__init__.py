"""What every package may use: errors, files, worker processes, the output directory of a run."""
