"""The statistics of a table: one mixed model, its simultaneous intervals, power, and the bootstrap over examples."""
