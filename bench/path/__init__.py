"""Instructions of the hot path: `python -m bench.path worker|judge`, under callgrind, without any kernel or clock."""
