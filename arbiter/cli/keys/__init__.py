"""`arbiter keys …`: the installation's keys made, shown, kept elsewhere and rotated."""

from arbiter.cli.keys import keeping, rotating
from arbiter.cli.keys.making import app

app.add_typer(keeping.app)
app.add_typer(rotating.app, name="rotate")

__all__ = ["app"]
