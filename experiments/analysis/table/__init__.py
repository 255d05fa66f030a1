"""From stored runs to table rows: select runs, pair them with the baseline, compute the derived numbers."""
