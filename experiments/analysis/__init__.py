"""From stored runs to the table: reading, differences, rendering. Imports no torch."""
