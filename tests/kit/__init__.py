"""Peers, clocks and transports that behave, for tests that assert bytes."""
