"""Published tables of other authors."""
