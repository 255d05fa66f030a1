"""What a job needs, imported once where workers are forked from. It computes nothing.

No thread of ours is started. pyarrow's allocator, which comes with MLflow, has one, and sees to forks itself.
"""

from experiments.imports import uncollected
from experiments.store import import_mlflow

with uncollected():
    import_mlflow()
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

    import experiments.data.cache
    import experiments.evaluation.evaluate
    import experiments.jobs.job
    import experiments.training.certificate
    import experiments.training.checkpoint
    import experiments.training.costs
    import experiments.training.loop  # noqa: F401
