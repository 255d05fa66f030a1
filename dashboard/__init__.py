"""Look at what is stored, beside the published table. Reads through `experiments.analysis`, without torch."""
