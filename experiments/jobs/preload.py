"""What a job needs, imported once where workers are forked from. It computes nothing.

No thread of ours is started. pyarrow's allocator, which comes with MLflow, has one, and sees to forks itself.
"""

from contextlib import suppress

from experiments.common.large_imports import uncollected
from experiments.store.connection import import_mlflow

# An error here would end the server that workers are forked from, without a word to the command that waits for one. A
# worker imports what is missing itself, and says what is wrong with it.
with suppress(Exception), uncollected():
    import_mlflow()
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

    import experiments.data.feature_cache
    import experiments.evaluation.evaluate
    import experiments.jobs.job
    import experiments.training.certificate
    import experiments.training.checkpoint
    import experiments.training.costs
    import experiments.training.loop  # noqa: F401
