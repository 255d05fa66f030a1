"""The built-in sources: one file each."""
