"""Cross-attention blocks, and their placement in the language model."""
