"""Prompts, decoding and the five benchmark metrics."""
