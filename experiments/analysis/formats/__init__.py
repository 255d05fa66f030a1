"""A stored table as a file: one module a format, each a function from a `Table` to text."""
