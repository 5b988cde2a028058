"""The evidence in the formats of other tools: pure functions of the attestation and the models that were called."""
