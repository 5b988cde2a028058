"""Frameworks: their files, and the clauses, checks and dates in them."""
