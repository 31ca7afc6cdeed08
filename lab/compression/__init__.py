"""Runs a technique step by step: cache, provenance, accuracy on the host, size, parameters, MACs."""
