"""The obvious build: what a good developer writes first. Frozen; see README.md beside this file."""
