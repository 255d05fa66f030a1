"""Flamingo beside its public peers at equal shapes, turn by turn in one process."""
