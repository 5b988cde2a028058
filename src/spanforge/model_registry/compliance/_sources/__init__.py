"""Telemetry sources: files and Jaeger."""
