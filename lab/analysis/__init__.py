"""Pure functions from recordings to results."""
