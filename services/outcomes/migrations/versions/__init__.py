"""Outcomes' tables, version by version."""
