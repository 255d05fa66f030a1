"""One job is one spec on one seed: found, skipped, resumed or run."""
