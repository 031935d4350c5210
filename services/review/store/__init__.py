"""All SQL of review: what consumers (`ingest`), reviewers (`claims`, `decisions`) and readers (`queries`) run."""
