"""Cross-attention blocks, and where in the language model they stand."""
