"""Decodes and compares captured pairs."""
