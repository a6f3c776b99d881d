"""Every table, with named constraints. Migrations are checked against this metadata.

No column holds a patient's data in the clear: subjects and encounters are keyed HMACs, content is in
`sealed_document`, encrypted under a key per case.
"""

from arbiter.store.tables.base import metadata
from arbiter.store.tables.calibrations import calibration_step
from arbiter.store.tables.canaries import canary_lease, canary_run
from arbiter.store.tables.cases import (
    broken_glass,
    calibration,
    case_file,
    case_key,
    idempotency,
    protocol_bundle,
    recent_case,
    sealed_document,
    subject,
    subject_chain,
    subject_merger,
)
from arbiter.store.tables.drafts import draft
from arbiter.store.tables.drifts import agreement_window, drift_cursor, drift_state, drift_step
from arbiter.store.tables.erasure import erasure, erasure_list
from arbiter.store.tables.exports import export_job
from arbiter.store.tables.fleet import fleet_state
from arbiter.store.tables.house import house_chain, house_document
from arbiter.store.tables.keys import retired_kek
from arbiter.store.tables.log import checkpoint, entry, pending, sealed_run, tree_node
from arbiter.store.tables.passkeys import passkey, passkey_request
from arbiter.store.tables.people import account, client, session, site
from arbiter.store.tables.reviewing import review_figure, review_outcome
from arbiter.store.tables.shifts import handed_over, signed_case
from arbiter.store.tables.telling import decision_recipient, delivery, message, webhook_endpoint
from arbiter.store.tables.watching import audit_count, watch_step
from arbiter.store.tables.witnessing import cosignature, witness_lease, witness_standing

__all__ = [
    "INSERT_ONLY",
    "account",
    "agreement_window",
    "audit_count",
    "broken_glass",
    "calibration",
    "calibration_step",
    "canary_lease",
    "canary_run",
    "case_file",
    "case_key",
    "checkpoint",
    "client",
    "cosignature",
    "decision_recipient",
    "delivery",
    "draft",
    "drift_cursor",
    "drift_state",
    "drift_step",
    "entry",
    "erasure",
    "erasure_list",
    "export_job",
    "fleet_state",
    "handed_over",
    "house_chain",
    "house_document",
    "idempotency",
    "message",
    "metadata",
    "passkey",
    "passkey_request",
    "pending",
    "protocol_bundle",
    "recent_case",
    "retired_kek",
    "review_figure",
    "review_outcome",
    "sealed_document",
    "sealed_run",
    "session",
    "signed_case",
    "site",
    "subject",
    "subject_chain",
    "subject_merger",
    "tree_node",
    "watch_step",
    "webhook_endpoint",
    "witness_lease",
    "witness_standing",
]

INSERT_ONLY = (
    entry,
    sealed_run,
    tree_node,
    checkpoint,
    protocol_bundle,
    calibration,
    calibration_step,
    sealed_document,
    subject_merger,
    house_document,
    cosignature,
    retired_kek,
    canary_run,
    drift_step,
    agreement_window,
    audit_count,
    watch_step,
    signed_case,
    handed_over,
    review_figure,
    review_outcome,
)
"""Tables in which the application may insert and select alone; triggers refuse the rest, whoever asks.

Erasure destroys a case's key, never a row of `sealed_document`.
"""
