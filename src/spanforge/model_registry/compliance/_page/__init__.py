"""The page ``report.html``: an attestation for people."""
