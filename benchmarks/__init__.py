"""Benchmarks: one command each, which prints one table. They are not tests; nothing is asserted."""
