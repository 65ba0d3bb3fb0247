"""Micro benchmark of the comparison library, beside DeepDiff on the same trees."""
