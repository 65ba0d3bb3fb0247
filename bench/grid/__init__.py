"""What the proxy and its peers cost as one thing changes: answer size, connections, share, workers, candidate."""
