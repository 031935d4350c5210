"""All SQL of the log: `entries` appends, `search` finds, `tree` reads hashes, `checkpoints` keeps what was signed."""
