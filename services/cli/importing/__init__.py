"""Reports out of files: each format's rows made into reports, and the reports sent as a platform's backend would."""
