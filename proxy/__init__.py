"""A shadow-traffic comparison proxy: see docs/architecture.md for its processes and floors."""
