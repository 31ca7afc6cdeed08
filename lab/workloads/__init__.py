"""Models with their data and metric: built-in ones, and the loader for a user's own."""
