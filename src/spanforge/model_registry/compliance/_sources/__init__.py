"""Where telemetry is read from: files and Jaeger."""
