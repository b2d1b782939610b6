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
    from dpsynth.knowledge import PublicTable
    from dpsynth.privacy import Guarantee, PrivacyUnit
    from dpsynth.schema import Schema
    from dpsynth.schemas.drafting import draft_spec
    from dpsynth.schemas.importing import import_schema
    from dpsynth.schemas.spec_text import spec_text
    from dpsynth.spec import Spec
    from dpsynth.synthesizer import Synthesizer
    from dpsynth.wishes import TableWeight, Target
    from dpsynth.workload import MustHave, WorkloadTable

__version__ = VERSION

__all__ = [
    "Guarantee",
    "Ledger",
    "MustHave",
    "PrivacyUnit",
    "PublicTable",
    "Release",
    "Schema",
    "Spec",
    "Synthesizer",
    "TableWeight",
    "Target",
    "WorkloadTable",
    "draft_spec",
    "epsilon_for_targets",
    "import_schema",
    "plan",
    "resume",
    "run",
    "spec_text",
    "verify",
]

_HOMES = {
    "Guarantee": "privacy",
    "Ledger": "core.ledger",
    "MustHave": "workload",
    "PrivacyUnit": "privacy",
    "PublicTable": "knowledge",
    "Release": "api",
    "Schema": "schema",
    "Spec": "spec",
    "Synthesizer": "synthesizer",
    "TableWeight": "wishes",
    "Target": "wishes",
    "WorkloadTable": "workload",
    "draft_spec": "schemas.drafting",
    "epsilon_for_targets": "api",
    "import_schema": "schemas.importing",
    "plan": "api",
    "resume": "api",
    "run": "api",
    "spec_text": "schemas.spec_text",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dpsynth' has no attribute {name!r}")
    return getattr(import_module(f"dpsynth.{_HOMES[name]}"), name)
