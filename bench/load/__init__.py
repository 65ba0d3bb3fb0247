"""CPU, throughput, latency and memory of the proxy and of two peers, in one run against the same backends."""
