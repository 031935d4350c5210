"""The history of review's tables."""
