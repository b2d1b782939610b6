"""dpsynth: certified, differentially private synthetic tables.

The names below are loaded when they are used, so that `dpsynth --version` and the verifier start at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dpsynth.verify.verify import verify
from dpsynth.version import VERSION

if TYPE_CHECKING:
    from dpsynth.api import Release, epsilon_for_targets, plan, resume, run
    from dpsynth.core.ledger import Ledger
    from dpsynth.privacy import Guarantee, PrivacyUnit
    from dpsynth.schema import Schema
    from dpsynth.spec import Spec
    from dpsynth.synthesizer import Synthesizer
    from dpsynth.wishes import TableWeight, Target

__version__ = VERSION

__all__ = [
    "Guarantee",
    "Ledger",
    "PrivacyUnit",
    "Release",
    "Schema",
    "Spec",
    "Synthesizer",
    "TableWeight",
    "Target",
    "epsilon_for_targets",
    "plan",
    "resume",
    "run",
    "verify",
]

_HOMES = {
    "Guarantee": "privacy",
    "Ledger": "core.ledger",
    "PrivacyUnit": "privacy",
    "Release": "api",
    "Schema": "schema",
    "Spec": "spec",
    "Synthesizer": "synthesizer",
    "TableWeight": "wishes",
    "Target": "wishes",
    "epsilon_for_targets": "api",
    "plan": "api",
    "resume": "api",
    "run": "api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dpsynth' has no attribute {name!r}")
    return getattr(import_module(f"dpsynth.{_HOMES[name]}"), name)
