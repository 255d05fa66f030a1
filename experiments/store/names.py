"""What a run is recorded as: the names of experiment, tags, metrics and files, once.

The writers, the reader and everything printed take their names from here.
"""

EXPERIMENT = "flamingo-ablations"

# Raised when a change of code changes results, so that stored runs of the old code are not taken for the new one's.
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

RESUMED = "resumed_at_step"  # only on runs that were stopped and went on
HOST = "host"  # the machine that a run was last on: only there is it known whether it is still running

# The hashes that a run carries of itself (`digests`): a tag that says there are some, set when it begins, and they.
HASHED, DIGESTS = "hashed", "digests"

# Only on runs that need them to be run again: modules that hold components, and the folder of one's own YAMLs.
COMPONENTS, CONFIG_DIR = "components", "config_dir"

# Only on runs with benchmarks that the published table does not have: what a reader needs of them (`store.columns`).
BENCHMARKS = "benchmarks"

SPEC_FILE = "spec.yaml"
# Of a row that was timed beside its baseline: the baseline's median step of the same rounds. A step time of another
# hour or machine is never subtracted.
PAIRED_STEP_TIME = "paired_baseline_step_time_s"

CERTIFICATE_FILE = "certificate.json"
TIMING_FILE = "timing.json"  # every round of the timing pass, of both sides
WEIGHTS_FILE = "weights.safetensors"
PREDICTIONS_FOLDER = "predictions"
PREDICTION_COLUMNS = (
    "id",
    "medium",  # id of the query's picture or clip: examples that share one are not independent
    "prompt",
    "prompt_hash",
    "demonstrations",  # the demonstrations' answers, in order
    "answer",
    "references",
    "score",  # in points
    "blind_answer",
    "blind_score",
)

# The query's medium in a blind evaluation is the one so many places on in the source's order of distinct media.
BLIND_OFFSET = 17


def blind(metric: str) -> str:
    """The name under which the blind twin of a score is stored."""
    return f"blind_{metric}"


def loss(dataset: str) -> str:
    """The name under which the training loss on one data set is stored, over steps."""
    return f"loss/{dataset}"


def is_path(key: str) -> bool:
    """Whether a key of a spec says where files lie: what is in them is in the spec's hash, their place is not."""
    return key.endswith(".path") and key.startswith(("model.", "data.", "eval."))
