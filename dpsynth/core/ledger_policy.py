"""The policy of an account: who approved which total, for whom, and who may vouch for the ledger."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from dpsynth import canonical
from dpsynth.core.accountant import guarantee_for
from dpsynth.core.signatures import is_signer_line
from dpsynth.errors import SpecError
from dpsynth.privacy import plain

COVERS = "every version of the data about these people"


@dataclass(frozen=True)
class Policy:
    """Who approved which total, for whom.

    unit_id: the protected column; None until the first PREPARE fixes it. max_rows: the most rows a release may use of one unit; None: any.
    signers: who may sign heads, as lines `NAME type key` of an ssh allowed-signers file.
    """

    epsilon: Fraction
    delta: Fraction
    unit_id: str | None = None
    max_rows: int | None = None
    approvers: tuple[str, ...] = ()
    covers: str = COVERS
    signers: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        """As a POLICY entry holds it."""
        unit = {"id": self.unit_id, "max_rows": self.max_rows}
        total = {"epsilon": canonical.rational_text(self.epsilon), "delta": canonical.rational_text(self.delta)}
        said = {"approvers": list(self.approvers), "covers": self.covers}
        return {**total, "unit": unit, **said, **({"signers": list(self.signers)} if self.signers else {})}

    def refuse_nonsense(self) -> None:
        """Raises SpecError for a policy that no owner can mean, or that the ledger could not hold."""
        if not Fraction(1, 10**6) <= self.epsilon <= 1000:
            raise SpecError(f"epsilon of the account must be from 0.000001 to 1000, got {plain(self.epsilon)}")
        if not Fraction(1, 10**300) <= self.delta < 1:
            raise SpecError(f"delta of the account must be from 1e-300 to below 1, got {plain(self.delta)}")
        if self.max_rows is not None and self.max_rows < 1:
            raise SpecError(f"max_rows must be at least 1, got {self.max_rows}")
        for text in (*self.approvers, self.covers, self.unit_id or ""):
            if not text.isprintable():
                raise SpecError("approvers, the unit and what the account covers must be printable text")
        try:
            policy_from(self.body())
        except ValueError as error:
            raise SpecError(f"the ledger cannot hold this policy: {error}") from None

    def text(self, dataset: str) -> bytes:
        """As policy.toml shows it."""
        rho = guarantee_for(self.epsilon, self.delta).rho.value
        unit = [f"unit = {json.dumps(self.unit_id)}"] if self.unit_id is not None else ["# unit: fixed by the first release"]
        rows = [f"max_rows = {self.max_rows}"] if self.max_rows is not None else []
        lines = [
            "# For reading: the last POLICY entry of ledger.jsonl is what counts, and editing this file changes nothing.",
            f'dataset = "{dataset}"',
            f'epsilon = "{plain(self.epsilon)}"',
            f'delta = "{plain(self.delta)}"',
            f'rho = "{float(rho):.6g}"    # what they stand for in zCDP; `dpsynth ledger show` adds what Gaussian answers alone allow',
            'neighbours = "add-remove"',
            *unit,
            *rows,
            f"approvers = {json.dumps(list(self.approvers))}",
            f"covers = {json.dumps(self.covers)}",
            f"signers = {json.dumps(list(self.signers))}",
        ]
        return ("\n".join(lines) + "\n").encode()


def policy_from(body: dict[str, Any]) -> Policy:
    """The policy that a POLICY entry holds. Raises ValueError, KeyError or TypeError."""
    unit = body["unit"]
    unit_id, max_rows = unit["id"], unit["max_rows"]
    if not (unit_id is None or isinstance(unit_id, str)) or not (max_rows is None or type(max_rows) is int):
        raise ValueError("the unit of a policy must be a column name and a number of rows")
    signers = tuple(body.get("signers", ()))
    if not all(map(is_signer_line, signers)):
        raise ValueError("a signer must be a name, a type of key and a key")
    total = canonical.rational(body["epsilon"]), canonical.rational(body["delta"])
    return Policy(*total, unit_id, max_rows, tuple(map(str, body["approvers"])), str(body["covers"]), signers)


def exact_number(value: float | str | Fraction, what: str) -> Fraction:
    """A declared number as the rational its decimal text stands for. Raises SpecError; 400 digits are enough for any."""
    if isinstance(value, Fraction):
        return value
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        raise SpecError(f"{what} must be a number, got {str(value)[:40]!r}") from None
    if not number.is_finite() or abs(number.adjusted()) > 400 or len(number.as_tuple().digits) > 400:
        raise SpecError(f"{what} must be a finite number of at most 400 digits, got {str(value)[:40]!r}")
    return Fraction(number)


def names_from(names: Sequence[str], what: str) -> tuple[str, ...]:
    """Names as a tuple. Raises SpecError for one text, which would be taken letter by letter."""
    if isinstance(names, str):
        raise SpecError(f"{what} must be a list of names, got the text {names!r}")
    return tuple(names)
