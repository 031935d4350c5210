"""Intake: takes reports over HTTP, proves who sent them, and puts them on their lane."""
