"""What any process needs, and no word of the domain: settings, database, broker, batches, logs, clock, sign-in."""
