"""Admin API, metrics and state."""
