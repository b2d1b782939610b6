"""One exception tree, grouped by who must act; `exit_code` is what the command line returns.

Every message says what was given, what is allowed and what to do, and never shows a cell of private data.
"""

from fractions import Fraction


class DpsynthError(Exception):
    """Anything this package refuses to do."""

    exit_code = 2


class SpecError(DpsynthError):
    """The spec, the schema or the usage is wrong: its author must change it."""

    exit_code = 2


class TargetsRefused(SpecError):
    """The budget cannot meet the spec's targets; `times` as large a budget (in rho) could."""

    def __init__(self, message: str, times: Fraction) -> None:
        super().__init__(message)
        self.times = times


class BudgetRefused(DpsynthError):
    """The budget does not allow it: its owner decides."""

    exit_code = 3


class LedgerInvalid(BudgetRefused):
    """A ledger that cannot be trusted (edited, forked, unreadable) refuses every release until its owner looks at it."""


class VerificationFailed(DpsynthError):
    """A bundle or a ledger does not prove what it claims."""

    exit_code = 4


class SourceError(DpsynthError):
    """The data source cannot be opened: the data owner must act."""

    exit_code = 5


class ProtocolError(DpsynthError):
    """A developer used the package in a way it forbids, such as asking for what the answers on record do not hold."""
