"""Benchmarks: what Jubao costs, beside what an obvious build and a bare insert cost on the same machine."""
