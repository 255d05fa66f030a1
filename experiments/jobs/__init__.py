"""Jobs: one spec on one seed each, which is found in the store, resumed or run."""
