"""FHIR R4 Bundles become the facts of a question, by a mapping that is part of the protocol's data. Pure."""
