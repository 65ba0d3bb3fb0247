"""An hour of everything at once: does it all come back to where it began?"""
