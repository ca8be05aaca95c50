"""The patient space in PostgreSQL: knows Reading, not FHIR."""
