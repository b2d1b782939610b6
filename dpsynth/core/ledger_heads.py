"""Signed heads: someone vouches, with an ssh key, for where the ledger ended on a day. They catch what a chain alone cannot: a roll-back.

A head is one canonical line in `heads/`, with its signature beside it, so `ssh-keygen -Y verify` alone can check it. Rules:
 1. Heads are judged in the order of the entries they name. At first those whom the reader's allowed-signers file lists are trusted;
    without such a file, the signers of the first POLICY that names any.
 2. A head by a trusted signer must be an entry of this chain: else the ledger was rolled back or rewritten.
 3. Such a head hands over: from there on the signers are those of the POLICY that stood at its entry, if it names any.
    So a new key counts once an old one has signed the policy that names it.
 4. A head by anyone else counts for nothing.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dpsynth import canonical
from dpsynth.core.ledger_chain import Account
from dpsynth.core.signatures import available, sign, signer_of
from dpsynth.errors import BudgetRefused, SpecError, VerificationFailed

FOLDER = "heads"
Line = tuple[str, str]
_FILE = re.compile(r"[0-9]{6,}(-[0-9]+)?\.json")
_FILE_LIMIT = 1 << 16


@dataclass(frozen=True)
class Head:
    """The entry at which an account ended on a day."""

    dataset: str
    seq: int
    hash: str
    day: str

    def statement(self) -> bytes:
        """What is signed, byte for byte."""
        return canonical.dumps({"v": 1, **vars(self)}) + b"\n"


@dataclass(frozen=True)
class SignedHead:
    """A head as it is kept: in which file, with which signature (empty where that is missing)."""

    file: str
    head: Head
    signature: bytes


def head_of(account: Account) -> Head:
    """Where the account ends today (UTC)."""
    last = account.entries[-1]
    return Head(account.dataset, last.seq, last.hash, datetime.now(UTC).date().isoformat())


def read_heads(ledger: Path) -> list[SignedHead]:
    """The heads beside a ledger, by entry. Raises VerificationFailed for one that is not what this module writes."""
    folder = ledger / FOLDER
    names = sorted(path.name for path in folder.iterdir() if path.suffix == ".json") if folder.is_dir() else []
    return sorted((_read(folder, name) for name in names), key=lambda signed: (signed.head.seq, signed.head.day, signed.file))


def _read(folder: Path, name: str) -> SignedHead:
    try:
        data, signature = _content(folder / name), folder / f"{name}.sig"
        facts = canonical.loads(data.removesuffix(b"\n"))
        if not _FILE.fullmatch(name) or facts.pop("v") != 1 or not isinstance(facts["seq"], int):
            raise ValueError
        head = Head(**facts)
        if head.statement() != data or not all(isinstance(text, str) for text in (head.dataset, head.hash, head.day)):
            raise ValueError
        return SignedHead(name, head, _content(signature) if signature.is_file() else b"")
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise VerificationFailed(f"{FOLDER}/{ascii(name)[1:-1]} is not a head: remove it, or restore it from a copy") from None


def _content(path: Path) -> bytes:
    if path.is_symlink() or path.stat().st_size > _FILE_LIMIT:
        raise ValueError
    return path.read_bytes()


def sign_head(ledger: Path, account: Account, key: Path) -> SignedHead:
    """Sign where the account ends now, and keep the signature beside the ledger.

    Raises SpecError where the key is none, or not that of a signer who is trusted now; BudgetRefused where the folder cannot be written.
    """
    head = head_of(account)
    signature = sign(head.statement(), key)
    trusted = _trusted_at_last(account, read_heads(ledger))
    if trusted and signer_of(head.statement(), signature, trusted) is None:
        raise SpecError(
            f"{key} is not the key of a signer of this account: those are {', '.join(_names(trusted))}. A new signer is named by "
            "`dpsynth ledger policy` and counts once an old one has signed after that"
        )
    try:
        return SignedHead(_kept(ledger / FOLDER, head, signature), head, signature)
    except OSError as error:
        raise BudgetRefused(f"{ledger / FOLDER} cannot be written ({error.strerror}): make room or give access") from None


def _kept(folder: Path, head: Head, signature: bytes) -> str:
    folder.mkdir(exist_ok=True)
    number, name = 1, f"{head.seq:06d}.json"
    while (folder / name).exists() or (folder / f"{name}.sig").exists():
        number += 1
        name = f"{head.seq:06d}-{number}.json"
    for path, data in ((folder / f"{name}.sig", signature), (folder / name, head.statement())):  # a head is there last: then it is whole
        with open(path, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    return name


def head_lines(account: Account, heads: Sequence[SignedHead], allowed: str | None = None) -> list[Line]:
    """What the heads show, as (ok, warning or FAIL, text). allowed: the reader's own allowed-signers file, if there is one.

    Raises SpecError where signatures are to be checked and ssh-keygen is missing.
    """
    if not heads and allowed is None:
        return []
    if allowed is None and not available():
        return [("warning", f"{len(heads)} signed heads were not checked: ssh-keygen is not on this machine")]
    lines, last = _judged(account, heads, allowed)
    if allowed is not None and last is None and all(kind != "FAIL" for kind, _ in lines):
        lines.append(("FAIL", "no head of this ledger is signed by a signer whom the given file lists"))
    if last is not None and (later := len(account.entries) - 1 - last):
        rest = "the last entry rests" if later == 1 else f"the last {later} entries rest"
        lines.append(("warning", f"{rest} on no signature yet: `dpsynth ledger sign` adds one"))
    return lines


def _judged(account: Account, heads: Sequence[SignedHead], allowed: str | None) -> tuple[list[Line], int | None]:
    trusted = _first_signers(account) if allowed is None else allowed
    said = "the ledger itself names" if allowed is None else "the given file names"
    lines: list[Line] = []
    last = None
    for signed in heads:
        head = signed.head
        who = signer_of(head.statement(), signed.signature, trusted)
        if who is None:
            lines.append(("warning", f"head {signed.file} is signed by nobody who was trusted then: it counts for nothing"))
        elif not _in_chain(account, head):
            lines.append(("FAIL", _rolled_back(account, head, who)))
        else:
            lines.append(("ok", f"{who}, whom {said}, signed on {head.day} that entry {head.seq} is {head.hash[:16]}..."))
            last, named = head.seq, _signers_at(account, head.seq)
            if named and named != trusted:
                trusted, said = named, "a policy names that is covered by an earlier signature"
    return lines, last


def held_head_line(account: Account, held: str) -> Line:
    """What a head that the reader was given earlier shows: it must still be an entry of the chain."""
    for entry in account.entries:
        if entry.hash == held:
            return (
                "ok",
                f"the head you hold is entry {entry.seq} of this chain; {len(account.entries) - 1 - entry.seq} entries came after it",
            )
    return "FAIL", f"the head you hold, {ascii(held[:16])[1:-1]}..., is not in this chain: the ledger was rolled back or rewritten since"


def _rolled_back(account: Account, head: Head, who: str) -> str:
    if head.dataset != account.dataset:
        return f"head of entry {head.seq}, signed by {who} on {head.day}, is another dataset's"
    here = "ends before it" if head.seq >= len(account.entries) else "holds another entry there"
    return (
        f"{who} signed on {head.day} that entry {head.seq} is {head.hash[:16]}..., but this ledger {here}: it was rolled back or rewritten"
    )


def _in_chain(account: Account, head: Head) -> bool:
    return head.dataset == account.dataset and 0 <= head.seq < len(account.entries) and account.entries[head.seq].hash == head.hash


def _trusted_at_last(account: Account, heads: Sequence[SignedHead]) -> str:
    trusted = _first_signers(account)
    for signed in heads:
        if _in_chain(account, signed.head) and signer_of(signed.head.statement(), signed.signature, trusted):
            trusted = _signers_at(account, signed.head.seq) or trusted
    return trusted


def _first_signers(account: Account) -> str:
    return next(filter(None, (_signers_at(account, entry.seq) for entry in account.entries if entry.type == "POLICY")), "")


def _signers_at(account: Account, seq: int) -> str:
    """The allowed-signers text of the policy that stood at an entry; empty where it names nobody."""
    policy = next(entry for entry in reversed(account.entries[: seq + 1]) if entry.type == "POLICY") if seq else None
    return "".join(f"{line}\n" for line in policy.body.get("signers", ())) if policy else ""


def _names(allowed: str) -> list[str]:
    return [line.split(" ", 1)[0] for line in allowed.splitlines() if line.strip()]
