"""The core: entries, names, events, files and settings. It does not need the OpenTelemetry SDK."""
