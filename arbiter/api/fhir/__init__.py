"""The FHIR dialect of the REST door: two operations on Bundles, a description, and refusals as OperationOutcome."""
