"""Tables that other people printed."""
