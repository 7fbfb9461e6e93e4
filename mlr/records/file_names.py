"""Names of the files of a run's folder and of a sweep's."""

STATUS, METRICS = "status.json", "metrics.csv"
CHECKPOINT, PREVIOUS = "checkpoint.safetensors", "checkpoint-previous.safetensors"
HYDRA, LOCK = ".hydra", ".lock"
RUNS_TABLE, STORY = "runs.csv", "sweep.yaml"
