"""The hospital's policy: a decision table of CEL conditions, compiled once, evaluated whole, failing closed. Pure."""

from arbiter.policy.compiling import CompiledPolicy, compile_policy
from arbiter.policy.evaluation import cautious, evaluate, exclusions
from arbiter.policy.rule_tests import run_rule_tests
from arbiter.policy.ruling import Ruling

__all__ = [
    "CompiledPolicy",
    "Ruling",
    "cautious",
    "compile_policy",
    "evaluate",
    "exclusions",
    "run_rule_tests",
]
