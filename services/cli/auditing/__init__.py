"""What `jubao audit` does beyond searching: export, receipts, keys, and the witness."""
