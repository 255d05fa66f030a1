"""Resamplers: from any number of visual features to the tokens that cross-attention attends to."""
