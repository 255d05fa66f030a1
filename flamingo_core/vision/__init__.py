"""Vision encoders: pictures in, a grid of features out. Always frozen."""
