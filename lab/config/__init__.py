"""YAML in, validated domain objects out."""
