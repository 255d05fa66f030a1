"""The Flamingo model with every component swappable: torch and transformers only."""
