"""Benchmarks and how they are run: prompts, decoding, scores."""
