"""What a job needs, imported once where workers are forked from. It computes nothing and starts no thread."""

import experiments.data.cache
import experiments.evaluation.evaluate
import experiments.jobs.job
import experiments.training.certificate
import experiments.training.checkpoint
import experiments.training.costs
import experiments.training.loop  # noqa: F401
