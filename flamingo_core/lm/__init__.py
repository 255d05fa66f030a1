"""Causal language models that cross-attention blocks can be inserted into."""
