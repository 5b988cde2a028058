"""Evidence packages: canonical JSON, files, signatures, verification."""
