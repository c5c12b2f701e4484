"""Running text -> masked instances -> pretraining records."""
