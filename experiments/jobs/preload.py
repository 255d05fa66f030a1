"""Imports everything a job needs, once, in the server that workers are forked from; runs nothing.

It starts no thread of ours. pyarrow's allocator, which comes with MLflow, has one and handles forks itself.
"""

from contextlib import suppress

from experiments.common.large_imports import uncollected
from experiments.store.connection import import_mlflow

# An error here would end the server, and the command would wait for a worker without a message. A worker imports what
# is missing itself, and reports the error.
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
