"""From stored runs to the rows of a table: which runs count, their pairs, and what is derived from both."""
