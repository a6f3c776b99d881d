"""Who may do what is changed by the register alone: no other source takes what changes it, or writes its tables."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MUTATORS = {
    "create_account",
    "change_account",
    "disable_account",
    "unlock_account",
    "set_password",
    "register_client",
    "disable_client",
    "rotate_client",
    "add_site",
    "add_account",
    "add_client",
    "set_secret",
}
KEEPERS = {"arbiter/workflow/register.py", "arbiter/store/identities.py"}


@functools.cache
def sources() -> list[tuple[str, ast.Module]]:
    files = [*(ROOT / "arbiter").rglob("*.py"), *(ROOT / "clinician_ui").rglob("*.py")]
    return [(str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))) for path in files]


def test_nothing_but_the_register_takes_what_changes_who_may_do_what() -> None:
    found = set()
    for path, tree in sources():
        if path in KEEPERS or path.startswith("arbiter/identity/"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("arbiter.identity"):
                found |= {(path, alias.name) for alias in node.names if alias.name in MUTATORS}
            if isinstance(node, ast.Attribute) and node.attr in MUTATORS:
                found.add((path, node.attr))
    assert found == set()
    (register_tree,) = [tree for path, tree in sources() if path == "arbiter/workflow/register.py"]
    used = {node.attr for node in ast.walk(register_tree) if isinstance(node, ast.Attribute)}
    assert {name for name in MUTATORS if not name.startswith(("add_acc", "add_cli", "set_sec"))} <= used


def test_nothing_but_the_store_of_identities_writes_their_tables() -> None:
    written = re.compile(
        r"(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?(?:account|client|site)\b"
        r"|\b(?:insert|update|delete)\((?:account|client|site)\)",
    )
    found = {
        str(path.relative_to(ROOT))
        for folder in ("arbiter", "clinician_ui")
        for path in (ROOT / folder).rglob("*.py")
        if written.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"arbiter/store/identities.py"}
