"""A typed conversation with one agent, and the registry of devices."""
