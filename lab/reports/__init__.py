"""Tables and exports of results for people and other programs."""
