"""A hospital's labelled cases become those that are evaluated and calibrated on: read from CSV, JSON or FHIR, pure but for one file.

`provenance` says what may count as a label, `form` what a case must look like, `csv_file`, `json_file` and `fhir_file` read one format
each, `taking` judges what they found as intake would, `importing` does it for a whole file, `cases_file` keeps the result.
"""
