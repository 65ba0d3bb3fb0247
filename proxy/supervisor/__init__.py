"""Starts, watches and restarts the other processes; does nothing else."""
