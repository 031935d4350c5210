"""The log: every event of every topic is one entry, in an order that no one changes, for auditors to search."""
