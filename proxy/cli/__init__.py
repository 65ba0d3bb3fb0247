"""Command line: argv to calls."""
