"""What FHIR says: Readings to and from FHIR R4, as pure functions."""
