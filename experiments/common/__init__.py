"""Code that every room uses and no room owns: text, user errors, locks, interrupts, progress."""
