"""The command `jubao`: runs services, the embedded stack, and what an operator does by hand."""
