"""Measures throughput, latency and memory of the real processes on one machine: `make bench`, or one part alone."""
