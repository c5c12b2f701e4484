"""Session hooks: progress, collected outputs, evaluation while training, the loss scale."""
