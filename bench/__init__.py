"""Measurements: `bench.compare` times the comparators, `bench.load` the proxy beside its peers."""
