"""The command line. Each group of commands is a module or a package here; `main` puts them together.

A command imports what it needs when it runs: whoever checks a receipt offline does not wait for a database to load.
"""

from __future__ import annotations

import os
import sys

import typer

from arbiter.cli import (
    audit,
    backups,
    calibrating,
    calibrations,
    clients,
    erasing,
    evaluating,
    guarantee,
    keys,
    labels,
    overseeing,
    panel,
    protocols,
    running,
    sites,
    users,
    webhooks,
    witness,
)
from arbiter.cli.audit import replaying
from arbiter.cli.cases import outcome, submitting, watching
from arbiter.cli.doctor import command as doctor
from arbiter.cli.examples import examples
from arbiter.cli.failing import Status, status_of

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Arbiter puts a panel of clinical models between a hospital's systems and an important decision.",
    epilog=examples("arbiter demo", "arbiter serve", "arbiter doctor", "arbiter submit case.json"),
)
_SINGLE = (
    (running.demo, running.DEMO_EXAMPLES),
    (running.serve, running.SERVE_EXAMPLES),
    (running.worker, running.WORKER_EXAMPLES),
    (submitting.submit, submitting.EXAMPLES),
    (watching.watch, watching.EXAMPLES),
    (outcome.outcome, outcome.EXAMPLES),
    (evaluating.evaluate, evaluating.EXAMPLES),
    (calibrating.calibrate, calibrating.EXAMPLES),
    (overseeing.oversight, overseeing.OVERSIGHT_EXAMPLES),
    (overseeing.plant, overseeing.PLANT_EXAMPLES),
    (replaying.replay, replaying.EXAMPLES),
    (backups.backup, backups.BACKUP_EXAMPLES),
    (backups.restore, backups.RESTORE_EXAMPLES),
    (erasing.erase, erasing.ERASE_EXAMPLES),
    (erasing.hold, erasing.HOLD_EXAMPLES),
    (running.migrate, running.MIGRATE_EXAMPLES),
    (doctor.doctor, doctor.EXAMPLES),
    (running.version, running.VERSION_EXAMPLES),
)
for command, shown in _SINGLE:
    app.command(epilog=shown)(command)
app.add_typer(protocols.app, name="protocol")
app.add_typer(calibrations.app, name="calibration")
app.add_typer(guarantee.app, name="guarantee")
app.add_typer(labels.app, name="labels")
app.add_typer(panel.app, name="panel")
app.add_typer(audit.app, name="audit")
app.add_typer(keys.app, name="keys")
app.add_typer(clients.app, name="clients")
app.add_typer(users.app, name="users")
app.add_typer(sites.app, name="sites")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(witness.app, name="witness")
# What 0.1.0 called `users`.
app.add_typer(users.app, name="accounts", hidden=True)


def main() -> None:
    """Run a command. What can be expected to fail is told in words, without a traceback; see `Status`.

    What it writes, its owner alone can open.
    """
    os.umask(0o077)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(Status.INTERRUPTED)
    except Exception as error:
        status = status_of(error)
        if status is None:
            raise
        sys.exit(status)
