"""Check a dpsynth release without the package, the data or the network: `python verify.py DIR [--ledger FOLDER]`.

Standard library only; nothing of the package is imported. Every line printed names the rule it applied.
Exit code 0: all rules hold; 4: one does not.
Costs are exact fractions; the conversion to (epsilon, delta) is evaluated at the certificate's witness with 80 digits, rounded up.
"""

import argparse
import hashlib
import json
import math
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

Facts = dict[str, Any]
Lines = Iterator[str]
RHO_UNIT = 1 << 60
CONTEXT = Context(prec=80, Emin=-(10**9), Emax=10**9)
OUTWARD = CONTEXT.add(Decimal(1), Decimal("1e-60"))
LARGEST_FILE = 1 << 28
BEFORE = {"MEASURED": ("PREPARE",), "RELEASED": ("MEASURED",), "ABORTED": ("PREPARE", "MEASURED")}
EVENT_KEYS = ("mechanism", "columns", "sensitivity", "scale", "outcomes", "rho", "question")
ENTRY_KEYS = {"v", "seq", "prev", "type", "id", "release", "day", "track", "rho", "delta", "body", "code", "actor", "hash"}
TRUSTED = (
    "that at most max_rows rows of each unit were used, and the curator ran unmodified (the code's tests and proofs say why it does)",
    "that the noise came from the operating system's generator, unseeded",
    "that the public facts of the schema (bounds, categories) were not read off the private data",
    "that no second ledger and no copy of the data exists for the same people",
)


class Broken(Exception):
    """A rule does not hold."""


@dataclass
class Verdict:
    """What was checked: `lines` holds (kind, text) with kind ok, FAIL, warning or trust."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.lines) and all(kind != "FAIL" for kind, _ in self.lines)

    def __str__(self) -> str:
        lines = ("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text) for _, text in self.lines)  # names may hold escape codes
        return "\n".join(f"{kind:8}{text}" for (kind, _), text in zip(self.lines, lines, strict=True))


def verify(folder: str | Path, ledger: str | Path | None = None) -> Verdict:
    """Recompute from the bundle (and the ledger's folder) all that can be recomputed without private data."""
    verdict = Verdict()
    state: Facts = {}
    steps = [lambda: certificate(Path(folder), state), lambda: files(Path(folder), state), lambda: events(state)]
    steps += [lambda: answers(Path(folder), state), lambda: total(state), lambda: conversion(state)]
    if ledger is not None:
        steps.append(lambda: membership(Path(ledger), state, verdict))
    if all(attempted(step, verdict, "release") for step in steps):
        verdict.lines.extend(("trust", line) for line in TRUSTED)
    if ledger is None:
        verdict.lines.append(("warning", "no ledger was given (--ledger FOLDER), so nothing shows that the budget was charged"))
    return verdict


def verify_ledger(folder: str | Path) -> Verdict:
    """Check a ledger on its own: its chain, and that its policy was never exceeded."""
    verdict = Verdict()
    attempted(lambda: _chain_lines(chain(_read_bytes(Path(folder) / "ledger.jsonl"))), verdict, "ledger")
    return verdict


def attempted(step: Callable[[], Lines], verdict: Verdict, what: str) -> bool:
    """Whether the step's rules hold; its lines are added either way."""
    try:
        verdict.lines.extend(("ok", line) for line in step())
    except Broken as error:
        verdict.lines.append(("FAIL", str(error)))
        return False
    except Exception as error:  # hostile input may fail anywhere: whatever fails, the release does not verify
        verdict.lines.append(("FAIL", f"the {what} cannot be read as this format says ({type(error).__name__})"))
        return False
    return True


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _read_bytes(path: Path) -> bytes:
    if not path.is_file() or path.is_symlink():
        raise Broken(f"{path.name} is missing or not a plain file")
    if path.stat().st_size > LARGEST_FILE:
        raise Broken(f"{path.name} is larger than {LARGEST_FILE} bytes")
    return path.read_bytes()


def read_canonical(data: bytes, what: str) -> Facts:
    """One canonical JSON object: sorted keys, no spaces, no floats, no duplicate keys, integers of at most 40 digits."""

    def refuse(_: str) -> NoReturn:
        raise Broken(f"{what} holds a float")

    def integer(text: str) -> int:
        if len(text) > 40:
            raise Broken(f"{what} holds an integer of more than 40 digits")
        return int(text)

    try:
        value = json.loads(data.decode("ascii"), parse_float=refuse, parse_int=integer, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise Broken(f"{what} is not JSON") from None
    if not isinstance(value, dict) or _canonical(value) != data:
        raise Broken(f"{what} is not one canonical JSON object: bytes were added, removed, reordered or repeated")
    return value


def _rational(text: Any) -> Fraction:
    match = re.fullmatch(r"(0|[1-9][0-9]{0,399})/([1-9][0-9]{0,399})", text) if isinstance(text, str) else None
    if not match or math.gcd(int(match[1]), int(match[2])) != 1:
        raise Broken("a rational is not written p/q in lowest terms")
    return Fraction(int(match[1]), int(match[2]))


def up(exact: Fraction) -> Fraction:
    """The least multiple of 2^-60 that is not below."""
    return Fraction(-((-exact.numerator * RHO_UNIT) // exact.denominator), RHO_UNIT)


def _whole(value: Any, least: int, what: str) -> int:
    if type(value) is not int or value < least:
        raise Broken(f"{what} is not a whole number of at least {least}")
    return value


def short(value: Fraction) -> str:
    """Six digits, rounded up: no printed loss is below the true one."""
    return f"{Context(prec=6, rounding=ROUND_CEILING).divide(Decimal(value.numerator), Decimal(value.denominator)).normalize():g}"


def certificate(folder: Path, state: Facts) -> Lines:
    """release.json is canonical and carries its own digest."""
    data = _read_bytes(folder / "release.json")
    record = read_canonical(data[:-1] if data.endswith(b"\n") else b"", "release.json")
    claimed = record.pop("digest", None)
    if hashlib.sha256(_canonical(record)).hexdigest() != claimed:
        raise Broken("release.json was changed: its digest does not match its content")
    if record["format"] != "dpsynth-release/1" or record["rehearsal"] is not False:
        raise Broken("this is a REHEARSAL on made-up rows, which claims nothing, or of another format than dpsynth-release/1")
    state.update(record=record, digest=claimed)
    yield f"release.json of {record['release']['name']!r} is canonical and matches its own digest {claimed[:16]}..."


def files(folder: Path, state: Facts) -> Lines:
    """Every file but the report is listed with its size and SHA-256."""
    listed = state["record"]["files"]
    present = {path.name for path in folder.iterdir()} - {"release.json", "report.html"}
    if present != set(listed):
        raise Broken(f"files and certificate differ: {sorted(present ^ set(listed))}")
    for name, facts in listed.items():
        if (folder / name).is_symlink() or not (folder / name).is_file():
            raise Broken(f"{name} is not a plain file")
        with open(folder / name, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if (folder / name).stat().st_size != facts["bytes"] or digest != facts["sha256"]:
            raise Broken(f"{name} was changed: its digest does not match the certificate")
    yield f"{len(listed)} files match their digests: {', '.join(sorted(listed))} (report.html is not digested)"


def events(state: Facts) -> Lines:
    """Each event costs what its parameters imply: rho = D^2 / (2 scale^2), rounded up to a multiple of 2^-60."""
    record = state["record"]
    k = _whole(record["unit"]["max_rows"], 1, "unit.max_rows")
    if record["unit"]["neighbours"] != "add-remove" or (not record["unit"]["id"] and k != 1):
        raise Broken("the unit is not one this format can protect")
    state["cells"] = {column["name"]: _whole(column["cells"], 1, "cells") for column in record["schema"]}
    counted = {"discrete-gaussian": 0, "noisy-max": 0}
    state["sum"] = Fraction(0)
    for exchange in record["exchanges"]:
        for event in exchange["events"]:
            _check_event(event, k, state["cells"])
            counted[event["mechanism"]] += 1
            state["sum"] += _rational(event["rho"])
        check_exchange(exchange)
    yield (
        f"{counted['discrete-gaussian']} discrete Gaussian tables (D = max_rows = {k}) and {counted['noisy-max']} noisy maxima "
        f"(D = {k} x weight x 2^16, not monotone) cost D^2 / (2 scale^2) each"
    )


def _check_event(event: Facts, k: int, cells: Facts) -> None:
    mechanism, sensitivity = event["mechanism"], _whole(event["sensitivity"], 1, "sensitivity")
    if mechanism == "discrete-gaussian":
        if sensitivity != k or event["outcomes"] != math.prod(cells[column] for column in event["columns"]):
            raise Broken(f"the event on {event['columns']} states another sensitivity or table than unit and schema imply")
    elif mechanism == "noisy-max":
        weight, rest = divmod(sensitivity, k << 16)
        if rest or weight > 32 or event["columns"] or _whole(event["outcomes"], 1, "outcomes") < 1:
            raise Broken("a selection states a sensitivity that is not max_rows x 2^16 x a weight from 1 to 32")
    else:
        raise Broken("an event names a mechanism that is not proved")
    scale, rho = _rational(event["scale"]), _rational(event["rho"])
    if scale <= 0 or rho != up(Fraction(sensitivity**2) / (2 * scale * scale)):
        raise Broken(f"an event ({mechanism}) is cheaper or dearer than its parameters imply")


def check_exchange(exchange: Facts) -> None:
    """Every released table has an event of its own with the same columns and noise; a selection has exactly one event."""
    tables = [(tuple(t["columns"]), t["sigma"]) for t in exchange["tables"]]
    noisy = [(tuple(e["columns"]), e["scale"]) for e in exchange["events"] if e["mechanism"] == "discrete-gaussian"]
    selections = [e for e in exchange["events"] if e["mechanism"] == "noisy-max"]
    chosen = exchange["selected"]
    other = any(event["question"] != exchange["question"] for event in exchange["events"])
    if other or tables != noisy or len(selections) != (chosen is not None):
        raise Broken("an answer was released without an event that pays for it")
    if selections and not 0 <= _whole(chosen, 0, "selected") < selections[0]["outcomes"]:
        raise Broken("a selection names a candidate that does not exist")


def answers(folder: Path, state: Facts) -> Lines:
    """The noisy tables are those of the transcript that the ledger's MEASURED entry names."""
    parts = []
    with zipfile.ZipFile(folder / "measurements.npz") as archive:
        paid = sorted(f"{table['array']}.npy" for exchange in state["record"]["exchanges"] for table in exchange["tables"])
        if sorted(archive.namelist()) != paid or len(set(paid)) != len(paid):
            raise Broken("measurements.npz holds other arrays than the tables that were paid for")
        for exchange in state["record"]["exchanges"]:
            digests = []
            for table in exchange["tables"]:
                cells = math.prod(state["cells"][column] for column in table["columns"])
                digests.append([table["columns"], hashlib.sha256(int64_array(archive, table["array"], cells)).hexdigest()])
            answer = hashlib.sha256(_canonical([digests, exchange["selected"]])).hexdigest()
            parts.append([exchange["question"], answer, [[event[key] for key in EVENT_KEYS] for event in exchange["events"]]])
    state["transcript"] = hashlib.sha256(_canonical(parts)).hexdigest()
    if state["transcript"] != state["record"]["transcript"]:
        raise Broken("measurements.npz does not hold the answers of the certificate's transcript")
    yield f"the noisy tables are those of transcript {state['transcript'][:16]}..."


def int64_array(archive: zipfile.ZipFile, name: str, cells: int) -> bytes:
    """The raw little-endian values of a one-dimensional int64 array in .npy format, version 1.0."""
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > min(8 * cells + 4096, LARGEST_FILE) or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Broken(f"array {name} is larger than its table")
    with archive.open(info) as file:
        data = file.read(info.file_size)  # never unpacks more than that, whatever the compressed bytes hold
    length = int.from_bytes(data[8:10], "little")
    header = data[10 : 10 + length].decode("latin1").strip()
    if data[:8] != b"\x93NUMPY\x01\x00" or header != f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({cells},), }}":
        raise Broken(f"array {name} is not int64[{cells}]")
    values = data[10 + length :]
    if len(values) != 8 * cells:
        raise Broken(f"array {name} is cut short")
    return values


def total(state: Facts) -> Lines:
    """The exact sum of the costs stays within the claimed rho."""
    claimed = _rational(state["record"]["guarantee"]["rho"])
    if _rational(state["record"]["spent"]) != state["sum"]:
        raise Broken("the stated sum of costs is not the sum of the events")
    if state["sum"] > claimed:
        raise Broken("the events cost more than the claimed rho")
    yield f"the events sum to rho = {short(state['sum'])}, within the claimed {short(claimed)}"


def conversion(state: Facts) -> Lines:
    """delta >= exp((a-1)(a rho - epsilon)) / (a-1) * (1-1/a)^a at the witness a (arXiv:2004.00010, Proposition 12)."""
    claim = state["record"]["guarantee"]
    rho, epsilon, delta, alpha = (_rational(claim[key]) for key in ("rho", "epsilon", "delta", "alpha"))
    if claim["track"] != "zcdp" or not 1 < alpha <= 10**10 or not 0 < epsilon <= 10**6 or not 0 < delta < 1 or rho > 10**9:
        raise Broken("the claim is out of all proportion: 80 digits do not decide it")
    if delta_bound(alpha, rho, epsilon) > _decimal_down(delta):
        raise Broken("the claimed (epsilon, delta) is better than rho implies at the witness")
    yield f"rho = {short(rho)} implies ({short(epsilon)}, {short(delta)})-differential privacy at order {short(alpha)}"


def delta_bound(alpha: Fraction, rho: Fraction, epsilon: Fraction) -> Decimal:
    """The right side of the rule above, rounded up."""
    c = CONTEXT
    terms = c.add(_decimal((alpha - 1) * (alpha * rho - epsilon)), c.multiply(_decimal(alpha), c.ln(_decimal(1 - 1 / alpha))))
    return c.multiply(c.exp(c.subtract(terms, c.ln(_decimal(alpha - 1)))), OUTWARD)


def _decimal(value: Fraction) -> Decimal:
    return CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


def _decimal_down(value: Fraction) -> Decimal:
    return Context(prec=80, rounding=ROUND_FLOOR).divide(Decimal(value.numerator), Decimal(value.denominator))


def membership(folder: Path, state: Facts, verdict: Verdict) -> Lines:
    """The ledger's chain holds this release: PREPARE with its cap and unit, MEASURED with its transcript, RELEASED with its digest."""
    record, entries = state["record"], chain(_read_bytes(folder / "ledger.jsonl"))
    yield from _chain_lines(entries)
    own = {entry["type"]: entry for entry in entries if entry["id"] == record["ledger"]["entry"]}
    if entries[0]["body"]["dataset"] != record["ledger"]["dataset"] or not {"PREPARE", "MEASURED"} <= set(own):
        raise Broken("this release is not in this ledger")
    prepare, measured = own["PREPARE"], own["MEASURED"]
    if prepare["hash"] != record["ledger"]["prepare"] or measured["hash"] != record["ledger"]["measured"]:
        raise Broken("the ledger's entries for this release are not those the certificate names")
    unit = {key: record["unit"][key] for key in ("id", "max_rows", "neighbours")}
    if _rational(prepare["rho"]) < _rational(record["guarantee"]["rho"]) or prepare["body"]["unit"] != unit:
        raise Broken("the ledger charged less, or another unit, than the certificate claims")
    count = sum(len(exchange["events"]) for exchange in record["exchanges"])
    if measured["body"] != {"transcript": state["transcript"], "events": count}:
        raise Broken("the ledger's MEASURED entry names another transcript")
    yield f"PREPARE (entry {prepare['seq']}) charged rho = {short(_rational(prepare['rho']))}"
    yield f"MEASURED (entry {measured['seq']}) names this transcript"
    if "RELEASED" not in own:
        verdict.lines.append(("warning", "the ledger has no RELEASED entry for this release: `dpsynth run --resume` completes it"))
    elif own["RELEASED"]["body"]["certificate"] != state["digest"]:
        raise Broken("the ledger's RELEASED entry names another certificate")
    else:
        yield f"RELEASED (entry {own['RELEASED']['seq']}) names this certificate"


def _chain_lines(entries: list[Facts]) -> Lines:
    yield f"the ledger's {len(entries)} entries form one chain, head {entries[-1]['hash']}"
    count = sum(entry["type"] == "PREPARE" for entry in entries)
    yield f"at each of {count} PREPARE entries the sum of costs stayed within the policy's epsilon"


def chain(data: bytes) -> list[Facts]:
    """The entries, each where it was written, within the policy that stood then."""
    if not data.endswith(b"\n"):
        raise Broken("the ledger's last line is torn: the next use of the ledger settles it")
    entries: list[Facts] = []
    account: Facts = {"rho": Fraction(0), "delta": Fraction(0), "policy": None, "unit": None, "status": {}}
    for seq, line in enumerate(data[:-1].split(b"\n")):
        entry = read_canonical(line, f"ledger entry {seq}")
        content = _canonical({key: value for key, value in entry.items() if key != "hash"})
        place = (1, seq, entries[-1]["hash"] if entries else "0" * 64, hashlib.sha256(b"\x00" + content).hexdigest())
        if set(entry) != ENTRY_KEYS or (entry["v"], entry["seq"], entry["prev"], entry["hash"]) != place:
            raise Broken(f"ledger entry {seq} is not the one that was written there")
        if not follows(entry, account):
            raise Broken(f"ledger entry {seq} ({entry['type'][:10]}) cannot stand there, or charges what the policy does not allow")
        entries.append(entry)
    return entries


def follows(entry: Facts, account: Facts) -> bool:
    """Whether an entry may follow what the account holds; adds it. A unit, once stated, stays; only PREPARE charges."""
    kind, rho, delta, status = entry["type"], _rational(entry["rho"]), _rational(entry["delta"]), account["status"]
    if kind != {0: "GENESIS", 1: "POLICY"}.get(entry["seq"], kind) or (entry["seq"] and kind == "GENESIS"):
        return False
    if kind in ("POLICY", "PREPARE"):
        unit = entry["body"]["unit"]["id"]
        if unit is not None and account["unit"] not in (None, unit):
            return False
        account["unit"] = account["unit"] if unit is None else unit
    if kind == "POLICY":
        account["policy"] = _rational(entry["body"]["epsilon"]), _rational(entry["body"]["delta"])
    if kind == "PREPARE":
        account["rho"], account["delta"] = account["rho"] + rho, account["delta"] + delta
        if rho <= 0 or not entry["id"] or entry["id"] in status or entry["body"]["unit"]["neighbours"] != "add-remove":
            return False
        status[entry["id"]] = kind
        return within(account["rho"], account["policy"][0], account["policy"][1] - account["delta"])
    if kind in BEFORE and status.get(entry["id"]) not in BEFORE[kind]:
        return False
    status.update({entry["id"]: kind} if kind in BEFORE else {})
    return rho == delta == 0 and (kind in BEFORE or kind in ("GENESIS", "POLICY", "NOTE"))


def within(rho: Fraction, epsilon: Fraction, delta: Fraction) -> bool:
    """Whether rho-zCDP is (epsilon, delta)-differential privacy at the best order: the root of (2a-1) rho - epsilon + ln(1-1/a)."""
    low, high = 1 + 2.0**-20, 1e9
    for _ in range(200):
        middle = math.sqrt(low * high)
        if (2 * middle - 1) * float(rho) - float(epsilon) + math.log1p(-1 / middle) < 0:
            low = middle
        else:
            high = middle
    return delta > 0 and delta_bound(Fraction(round(high * (1 << 30)), 1 << 30), rho, epsilon) <= _decimal_down(delta)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="verify.py", description=__doc__.split("\n")[0])
    parser.add_argument("folder", metavar="DIR", help="the bundle")
    parser.add_argument("--ledger", metavar="FOLDER", help="the folder that holds ledger.jsonl")
    given = parser.parse_args(arguments)
    verdict = verify(given.folder, given.ledger)
    text, encoding = f"{verdict}\n{'VERIFIED' if verdict.ok else 'NOT VERIFIED'}", sys.stdout.encoding
    print(text.encode(encoding, "backslashreplace").decode(encoding))
    return 0 if verdict.ok else 4


if __name__ == "__main__":
    sys.exit(main())
