"""Inputs and agreement watched for drift: read from the log, kept sealed, alarmed in the log, acknowledged by a person."""
