"""The tables of triage, step by step."""
