"""The folder can be lifted out: it imports the standard library's pure parts, `cryptography` and the errors alone."""

import ast
import sys
from pathlib import Path

import pytest

import arbiter.audit

SOURCES = sorted(Path(arbiter.audit.__path__[0]).rglob("*.py"))
IMPURE = {
    "asyncio", "builtins", "ctypes", "fcntl", "http", "importlib", "io", "logging", "mmap", "multiprocessing", "os",
    "pathlib", "pickle", "random", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl",
    "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_module_imports_what_an_auditor_would_not_have(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module or ""]
        for name in names:
            root = name.split(".")[0]
            own = name.startswith("arbiter.audit") or name == "arbiter.errors"
            assert (
                own or root == "cryptography" or (root in sys.stdlib_module_names and root not in IMPURE)
            ), name


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_module_opens_files_prints_or_reads_the_clock(source: Path) -> None:
    called = {
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name | ast.Attribute)
        # An archive's own member, of an archive that somebody else has opened.
        and ast.unparse(node.func) != "self._zip.open"
    }
    assert not called & {"open", "print", "input", "exec", "eval", "now", "utcnow", "today", "__import__"}
