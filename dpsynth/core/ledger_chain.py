"""The ledger as a value: canonical lines, each naming the one before it, and what they add up to. No I/O.

Rules, each checked by `read_account`:
 1. Every line is one canonical JSON object with exactly the known keys; rationals are `p/q` in lowest terms.
 2. `seq` counts from 0; `prev` is the hash of the line before; `hash` is SHA-256(0x00 || canonical entry without hash).
 3. The first entry is GENESIS, the second POLICY; a later POLICY replaces the policy from there on, and never undoes what was spent.
 4. PREPARE opens a release under a fresh id and charges its whole cap, a multiple of 2^-60 of at most 2^20; only PREPARE charges.
    Its track says whether all answers of the release are Gaussian ("gdp") or not ("zcdp"); only PREPARE has a track.
 5. MEASURED needs a PREPARE, RELEASED a MEASURED, ABORTED an unfinished PREPARE of the same id; each at most once. No refunds.
 6. All entries of an account protect the same unit; no later POLICY changes it.
"""

import hashlib
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from dpsynth import canonical
from dpsynth.core.ledger_policy import Policy, policy_from
from dpsynth.errors import LedgerInvalid, SpecError
from dpsynth.privacy import GDP, RHO_UNIT, ZCDP, PrivacyUnit

VERSION = 1
NO_HASH = "0" * 64
LARGEST_RHO = 1 << 20
TYPES = ("GENESIS", "POLICY", "PREPARE", "MEASURED", "RELEASED", "ABORTED", "NOTE")
_TEXTS = ("actor", "code", "day", "delta", "hash", "id", "prev", "release", "rho", "track", "type")
_TYPE_OF = dict(sorted({**dict.fromkeys(_TEXTS, str), "body": dict, "seq": int, "v": int}.items()))
_KEYS, _KINDS = list(_TYPE_OF), list(_TYPE_OF.values())
"""In the order of canonical JSON, with the type of each value."""

_FIRST = {0: "GENESIS", 1: "POLICY"}
_NEXT = {"MEASURED": ("PREPARE",), "RELEASED": ("MEASURED",), "ABORTED": ("PREPARE", "MEASURED")}


@dataclass(frozen=True)
class Entry:
    """One line of the ledger. rho and delta are what it charges; track, how that may be added up ("" where it charges nothing)."""

    seq: int
    prev: str
    type: str
    id: str
    release: str
    day: str
    rho: Fraction
    delta: Fraction
    body: dict[str, Any]
    code: str
    actor: str
    hash: str = ""
    track: str = ""

    def facts(self) -> dict[str, Any]:
        """The canonical object without its hash."""
        texts = {"type": self.type, "id": self.id, "release": self.release, "day": self.day, "track": self.track}
        charge = {"rho": canonical.rational_text(self.rho), "delta": canonical.rational_text(self.delta)}
        place = {"v": VERSION, "seq": self.seq, "prev": self.prev}
        return {**place, **texts, **charge, "body": self.body, "code": self.code, "actor": self.actor}

    def sealed(self) -> "Entry":
        """With the hash that names it."""
        return replace(self, hash=hashlib.sha256(b"\x00" + canonical.dumps(self.facts())).hexdigest())

    def line(self) -> bytes:
        """As it stands in the file."""
        return canonical.dumps({**self.facts(), "hash": self.hash}) + b"\n"


@dataclass(frozen=True)
class Account:
    """What the entries add up to. track: "gdp" while every release's answers are Gaussian; one other release, and zCDP is used for all."""

    dataset: str = ""
    policy: Policy | None = None
    entries: tuple[Entry, ...] = ()
    rho: Fraction = Fraction(0)
    delta: Fraction = Fraction(0)
    track: str = GDP
    unit_id: str | None = None
    status: dict[str, str] = field(default_factory=dict)

    @property
    def head(self) -> str:
        """Hash of the last entry."""
        return self.entries[-1].hash if self.entries else NO_HASH

    def of(self, entry_id: str) -> tuple[Entry, ...]:
        """The entries of one release."""
        return tuple(entry for entry in self.entries if entry.id == entry_id)


def read_account(lines: list[bytes]) -> Account:
    """The account behind the lines. Raises LedgerInvalid, naming the first entry that breaks a rule."""
    entries: list[Entry] = []
    state = Account()
    for seq, line in enumerate(lines):
        try:
            entry = parse(line)
            state = _follow(state, entry, seq, entries[-1].hash if entries else NO_HASH)
        except (ValueError, KeyError, TypeError, AttributeError, SpecError) as error:
            raise LedgerInvalid(
                f"the ledger is not to be trusted from entry {seq} on ({error}): restore it from a copy you trust; nothing can be released"
            ) from None
        entries.append(entry)
    return replace(state, entries=tuple(entries))


def extended(account: Account, entry: Entry) -> Account:
    """The account with one more entry; the given one is unchanged. Raises ValueError where the entry breaks a rule."""
    state = _follow(replace(account, status=dict(account.status)), entry, len(account.entries), account.head)
    return replace(state, entries=(*account.entries, entry))


def parse(line: bytes) -> Entry:
    """The entry on a line (without its newline). Raises ValueError."""
    if len(line) > 1 << 20:
        raise ValueError("a line of more than 1 MB")
    facts = canonical.loads(line)
    if not isinstance(facts, dict) or list(facts) != _KEYS or list(map(type, facts.values())) != _KINDS or facts.pop("v") != VERSION:
        raise ValueError("not an entry of this format")
    if hashlib.sha256(b"\x00" + _without_hash(line, facts["hash"])).hexdigest() != facts["hash"]:
        raise ValueError("its hash does not match its content")
    facts["rho"], facts["delta"] = canonical.rational(facts["rho"]), canonical.rational(facts["delta"])
    return Entry(**facts)


def _without_hash(line: bytes, value: str) -> bytes:
    """A canonical line without its hash: what the hash is of, without writing it anew.

    Keys are sorted, so a key comes before "hash" and none but texts and numbers come after; inside a text every quote is escaped.
    """
    return b"".join(line.rpartition(b',"hash":"' + value.encode() + b'"')[::2])


def _follow(state: Account, entry: Entry, seq: int, prev: str) -> Account:
    _check_place(entry, seq, prev)
    return _apply(state, entry)


def _check_place(entry: Entry, seq: int, prev: str) -> None:
    if entry.seq != seq:
        raise ValueError(f"it is numbered {entry.seq}")
    if entry.prev != prev:
        raise ValueError("it does not name the entry before it")
    expected = _FIRST.get(seq)
    if entry.type not in TYPES or (expected and entry.type != expected) or (seq > 0 and entry.type == "GENESIS"):
        raise ValueError(f"an entry of type {entry.type[:20]!r} cannot stand here")
    if entry.type != "PREPARE" and (entry.rho or entry.delta):
        raise ValueError("only PREPARE charges")
    if entry.track not in ((GDP, ZCDP) if entry.type == "PREPARE" else ("",)):
        raise ValueError("only PREPARE has a track, gdp or zcdp")


def _apply(state: Account, entry: Entry) -> Account:
    if entry.type == "PREPARE":
        return _prepare(state, entry)
    if entry.type == "GENESIS":
        return replace(state, dataset=str(entry.body["dataset"]))
    if entry.type == "POLICY":
        policy = policy_from(entry.body)
        if policy.unit_id is not None and state.unit_id not in (None, policy.unit_id):
            raise ValueError("POLICY for another unit than the account's")
        return replace(state, policy=policy, unit_id=state.unit_id if policy.unit_id is None else policy.unit_id)
    if entry.type in _NEXT:
        if state.status.get(entry.id) not in _NEXT[entry.type]:
            raise ValueError(f"{entry.type} of a release that is {state.status.get(entry.id, 'unknown')}")
        return _mark(state, entry)
    return state


def _prepare(state: Account, entry: Entry) -> Account:
    unit = PrivacyUnit(**entry.body["unit"])
    if not entry.id or entry.id in state.status:
        raise ValueError("PREPARE under an id that is already used")
    _check_charge(entry.rho, entry.delta)
    if state.unit_id is not None and unit.id != state.unit_id:
        raise ValueError("PREPARE for another unit than the account's")
    marked = _mark(state, entry)
    delta = state.delta + entry.delta if entry.delta else state.delta
    return replace(marked, rho=state.rho + entry.rho, delta=delta, track=joined(state.track, entry.track), unit_id=unit.id)


def _check_charge(rho: Fraction, delta: Fraction) -> None:
    # Neither is below 0, for the format has no signs; compared as integers, since thousands are read before each charge.
    if not rho or RHO_UNIT % rho.denominator or rho.numerator > LARGEST_RHO * rho.denominator:
        raise ValueError("PREPARE that charges nothing, more than there is, or no multiple of 2^-60")
    if delta.numerator >= delta.denominator:
        raise ValueError("PREPARE that gives away a delta of 1 or more")


def joined(one: str, other: str) -> str:
    """The track on which two sums of costs may be added up."""
    return GDP if one == other == GDP else ZCDP


def _mark(state: Account, entry: Entry) -> Account:
    # One dictionary is shared along the chain: copying it at every entry would make reading quadratic.
    state.status[entry.id] = entry.type
    return state
