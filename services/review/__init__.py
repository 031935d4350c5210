"""Review: cases, the queue they wait in, the leases they are held by, and what is decided about them."""
