"""The data plane: accepts clients, serves, mirrors, captures."""
