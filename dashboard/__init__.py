"""Show stored runs beside the published table. Reads them through `experiments.analysis`, without torch."""
