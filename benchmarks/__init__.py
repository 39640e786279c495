"""Measurements, one command each; every one prints one table. Not tests: nothing here is asserted."""
