"""Device profiles as YAML; data only."""
