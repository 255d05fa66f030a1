"""Data sets and benchmarks: the rendered world, official formats, the mixture. Imports no torch at the top."""
