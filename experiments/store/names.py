"""Names of the experiment, tags, metrics and files of runs, for the writers, the reader and everything printed."""

EXPERIMENT = "flamingo-ablations"

# Increased when a change to the code changes results, so that runs of the old code are not taken for new ones.
RESULTS_VERSION = 3

OVERALL = "overall"  # of the scores, whose names the benchmarks say
COSTS = (
    "params_total",
    "params_trainable",
    "flops_per_step",
    "peak_memory_bytes",
    "step_time_s",
    "step_time_p90_s",
    "step_time_ratio",
    "step_time_ratio_low",
    "step_time_ratio_high",
    "train_step_time_s",
)

TAGS = (
    "ablation",
    "group",
    "scale",
    "seed",
    "overrides",
    "spec_hash",
    "train_hash",
    "baseline_hash",
    "git_commit",
    "dirty",
    "host",
)

RESUMED = "resumed_at_step"  # only on runs that were stopped and resumed
HOST = "host"  # the machine of the run's last process: only there is it known whether it is still running

# The tags with a run's hashes of itself (`digests`): the first announces the second, and is set when the run starts.
HASHED, DIGESTS = "hashed", "digests"

# Only on runs whose command names them: modules with components, and the folder of the user's own YAML files.
COMPONENTS, CONFIG_DIR = "components", "config_dir"

# Only on runs with benchmarks that the published table does not have: what a reader needs of them (`store.columns`).
BENCHMARKS = "benchmarks"

SPEC_FILE = "spec.yaml"
# The baseline's median step time in the rounds in which a row was timed beside it: step times of another hour or
# another machine are never subtracted.
PAIRED_STEP_TIME = "paired_baseline_step_time_s"

CERTIFICATE_FILE = "certificate.json"
TIMING_FILE = "timing.json"  # every round of the timing pass, of both sides
WEIGHTS_FILE = "weights.safetensors"
PREDICTIONS_FOLDER = "predictions"
PREDICTION_COLUMNS = (
    "id",
    "medium",  # id of the query's picture or clip; examples that share one are not independent
    "prompt",
    "prompt_hash",
    "demonstrations",  # the demonstrations' answers, in order
    "answer",
    "references",
    "score",  # in points
    "blind_answer",
    "blind_score",
)

# In a blind evaluation a query gets the medium this many places further on in the source's order of distinct media.
BLIND_OFFSET = 17


def blind(metric: str) -> str:
    """The metric name of the blind twin of a score."""
    return f"blind_{metric}"


def loss(dataset: str) -> str:
    """The metric name of the training loss on one data set, over steps."""
    return f"loss/{dataset}"


def is_path(key: str) -> bool:
    """Whether a key of a spec is a path: the content of its files is part of the spec's hash, their location is not."""
    return key.endswith(".path") and key.startswith(("model.", "data.", "eval."))
