"""Traces, metrics and logs for whoever runs this service. None of them ever carries a patient's data.

`catalogue` and `metrics` list all there is, `scrubbing` lets nothing else out, `spans`, `meters` and `logs` are what
the rest of the house speaks through, and `export` reads the standard `OTEL_*` variables and starts it all. Without an
endpoint nothing is exported, and entries have trace ids all the same.
"""

from arbiter.telemetry.logs import Safe, log_to_file, log_to_stderr
from arbiter.telemetry.spans import outgoing_headers, trace_id

__all__ = ["Safe", "log_to_file", "log_to_stderr", "outgoing_headers", "trace_id"]
