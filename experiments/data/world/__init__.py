"""The rendered world: scenes, what is said of them, and the pictures and clips that show them."""
