"""Performance claims, each reproduced by one command."""
