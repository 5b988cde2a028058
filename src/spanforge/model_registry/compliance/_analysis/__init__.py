"""From telemetry to calls, totals, changes and checks."""
