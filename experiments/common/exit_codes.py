"""Exit codes of commands."""

DONE = 0
FAILED = 1  # a run failed; the others have finished
REFUSED = 2  # the request was wrong, or the store or the disk cannot be used
# also 128 + n, after signal n
