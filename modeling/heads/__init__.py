"""What sits on the encoder: logits, losses, predictions and metrics of each kind of task."""
