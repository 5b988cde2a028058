"""The core: entries, names, events, files and settings; nothing here needs the OpenTelemetry SDK."""
