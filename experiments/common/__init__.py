"""What every room uses and no room owns: text, errors of the user, locks, interrupts, progress."""
