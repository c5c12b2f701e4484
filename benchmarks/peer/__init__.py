"""The peer's side: Hugging Face on PyTorch, in an environment of its own: of ours, only `benchmarks` is imported."""
