"""Our side of each benchmark: a worker module each."""
