"""The rendered world: scenes, texts about them, and pictures and clips of them."""
