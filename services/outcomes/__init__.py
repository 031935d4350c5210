"""What a reporter hears: one outcome a report, once its case is decided, and the statement of reasons behind it."""
