"""What a protocol's delta may still be spent on: of labelled cases that were looked at before, what is left.

Every calibration that was ever proposed for a protocol counts, of whatever version and whatever became of it: it was looked
at. What nobody proposed is not known here.
"""

from __future__ import annotations

from decimal import Decimal

from arbiter.calibrating.looks import next_look, spent
from arbiter.calibration import Calibration
from arbiter.documents.scalars import decimal_text
from arbiter.errors import ConflictError, counted
from arbiter.store.calibration_steps import load_steps
from arbiter.store.calibrations import load_calibration
from arbiter.store.transaction import Transaction


async def require_unspent(transaction: Transaction, calibration: Calibration, promised: Decimal) -> None:
    """Refuse a calibration that spends more of the delta `promised` by its protocol than earlier looks at its cases left.

    Raises:
        ConflictError: with what is left and what to do; VerificationError: when an earlier one is not what was proposed, for
            then nobody knows which cases it looked at.
    """
    earlier = [
        await load_calibration(transaction, row.calibration)
        for row in await load_steps(transaction)
        if row.protocol == calibration.protocol
    ]
    looks, before = spent(calibration, earlier)
    if before + calibration.delta <= promised:
        return
    left = max(promised - before, Decimal(0))
    look = next_look(promised, left)
    advice = "" if look is None else f", or on these with `arbiter calibrate --look {look}`"
    raise ConflictError(
        f"{counted(looks, 'calibration')} of {calibration.protocol} proposed before looked at the same labelled cases and left "
        f"{decimal_text(left)} of the protocol's delta {decimal_text(promised)}, this one is made at "
        f"{decimal_text(calibration.delta)}: certify on cases that none has looked at{advice}"
    )
