"""Benchmarks of the library's cost, as ratios: ``make bench``."""
