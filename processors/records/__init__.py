"""Examples -> features -> records -> `input_fn`."""
