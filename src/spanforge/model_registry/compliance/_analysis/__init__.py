"""The analysis of telemetry: calls, totals, changes and checks."""
