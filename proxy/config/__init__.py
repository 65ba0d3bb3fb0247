"""Configuration: decode, validate, freeze."""
