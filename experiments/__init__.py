"""Run and judge ablations of the model in `flamingo_core`: specs, data, training, evaluation, tracking, analysis."""
