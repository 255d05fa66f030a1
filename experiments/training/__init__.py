"""The training loop, its objective, the timing pass, checkpoints."""
