"""Resamplers: any number of visual features in, the tokens that cross-attention reads out."""
