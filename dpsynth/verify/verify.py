"""Check a dpsynth release without the package, the data or the network: `python verify.py DIR [--ledger FOLDER]`.

Standard library only; nothing of the package is imported. Every line printed names the rule it applied.
Exit code 0: all rules hold; 4: one does not.
Costs are exact fractions; the conversion to (epsilon, delta) is evaluated with 80 digits, rounded up.
"""

import argparse
import hashlib
import json
import math
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

Facts = dict[str, Any]
Lines = Iterator[str]
CONTEXT = Context(prec=80, Emin=-(10**9), Emax=10**9)
OUTWARD = CONTEXT.add(Decimal(1), Decimal("1e-60"))
DENSITY_AT_0 = Decimal("0.398942280401432677939946059934381868475858631164934657665925829670658")  # 1 / sqrt(2 pi), rounded up
LARGEST_FILE = 1 << 28
BEFORE = {"MEASURED": ("PREPARE",), "RELEASED": ("MEASURED",), "ABORTED": ("PREPARE", "MEASURED")}
EVENT_KEYS = ("mechanism", "columns", "sensitivity", "scale", "outcomes", "rho", "question")
ENTRY_KEYS = {"v", "seq", "prev", "type", "id", "release", "day", "track", "rho", "delta", "body", "code", "actor", "hash"}
TRUSTED = (
    "that at most max_rows rows of each unit were used, and the curator ran unmodified (the code's tests and proofs say why it does)",
    "that the noise came from the operating system's generator, unseeded",
    "that the public facts of the schema (bounds, categories) were not read off the private data",
    "that no second ledger and no copy of the data exists for the same people",
    "that the questions were the strategy's, and model and records follow from the answers (`dpsynth verify --replay` shows it)",
)


class Broken(Exception):
    """A rule does not hold."""


def require(holds: object, otherwise: str) -> None:
    """A rule: raises Broken, saying what is wrong, where it does not hold."""
    if not holds:
        raise Broken(otherwise)


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
    steps = [stage(Path(folder), state) for stage in (certificate, files, events, answers, conversion)]
    if ledger is not None:
        steps.append(membership(Path(ledger), state, verdict))
    if all(attempted(step, verdict, "release") for step in steps):
        verdict.lines.extend(("trust", line) for line in TRUSTED)
    if ledger is None:
        verdict.lines.append(("warning", "no ledger was given (--ledger FOLDER), so nothing shows that the budget was charged"))
    return verdict


def verify_ledger(folder: str | Path) -> Verdict:
    """Check a ledger on its own: its chain, and that its policy was never exceeded."""
    verdict = Verdict()
    attempted(whole_chain(Path(folder), {}), verdict, "ledger")
    return verdict


def attempted(step: Lines, verdict: Verdict, what: str) -> bool:
    """Whether the step's rules hold; its lines are added either way."""
    try:
        verdict.lines.extend(("ok", line) for line in step)
    except Exception as error:  # hostile input may fail anywhere: whatever fails, the release does not verify
        unreadable = f"the {what} cannot be read as this format says ({type(error).__name__})"
        verdict.lines.append(("FAIL", str(error) if isinstance(error, Broken) else unreadable))
        return False
    return True


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _read_bytes(path: Path) -> bytes:
    require(path.is_file() and not path.is_symlink(), f"{path.name} is missing or not a plain file")
    require(path.stat().st_size <= LARGEST_FILE, f"{path.name} is larger than {LARGEST_FILE} bytes")
    return path.read_bytes()


def read_canonical(data: bytes, what: str) -> Facts:
    """One canonical JSON object: sorted keys, no spaces, no floats, no duplicate keys, integers of at most 40 digits."""

    def integer(text: str) -> int:
        require(re.fullmatch(r"-?[0-9]{1,40}", text), f"{what} holds a float, or an integer of more than 40 digits")
        return int(text)

    try:
        value = json.loads(data.decode("ascii"), parse_float=integer, parse_int=integer, parse_constant=integer)
    except (ValueError, RecursionError):
        raise Broken(f"{what} is not JSON") from None
    require(isinstance(value, dict) and _canonical(value) == data, f"{what} is not one canonical JSON object, as it was written")
    return dict(value)


def _rational(text: Any) -> Fraction:
    match = re.fullmatch(r"(0|[1-9][0-9]{0,399})/([1-9][0-9]{0,399})", text) if isinstance(text, str) else None
    p, q = map(int, match.groups()) if match else (0, 0)
    require(math.gcd(p, q) == 1, "a rational is not written p/q in lowest terms")
    return Fraction(p, q)


def up(exact: Fraction) -> Fraction:
    """The least multiple of 2^-60 that is not below."""
    return Fraction(math.ceil(exact * (1 << 60)), 1 << 60)


def _whole(value: Any, least: int, what: str) -> int:
    require(type(value) is int and value >= least, f"{what} is not a whole number of at least {least}")
    return int(value)


def short(value: Fraction) -> str:
    """Six digits, rounded up: no printed loss is below the true one."""
    return f"{Context(prec=6, rounding=ROUND_CEILING).divide(Decimal(value.numerator), Decimal(value.denominator)).normalize():g}"


def certificate(folder: Path, state: Facts) -> Lines:
    """release.json is canonical and carries its own digest."""
    data = _read_bytes(folder / "release.json")
    record = read_canonical(data[:-1] if data.endswith(b"\n") else b"", "release.json")
    claimed = record.pop("digest", None)
    require(hashlib.sha256(_canonical(record)).hexdigest() == claimed, "release.json was changed: its digest does not match its content")
    known = record["format"] == "dpsynth-release/2" and record["rehearsal"] is False
    require(known, "this is a REHEARSAL on made-up rows, which claims nothing, or of another format than dpsynth-release/2")
    state.update(record=record, digest=claimed)
    yield f"release.json of {record['release']['name']!r} is canonical and matches its own digest {claimed[:16]}..."


def files(folder: Path, state: Facts) -> Lines:
    """Every file but the report is listed with its size and SHA-256."""
    listed = state["record"]["files"]
    present = {path.name for path in folder.iterdir()} - {"release.json", "report.html"}
    require(present == set(listed), f"files and certificate differ: {sorted(present ^ set(listed))}")
    for name, facts in listed.items():
        require((folder / name).is_file() and not (folder / name).is_symlink(), f"{name} is not a plain file")
        with open(folder / name, "rb") as file:
            found = {"bytes": (folder / name).stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
        require(facts == found, f"{name} was changed: its digest does not match the certificate")
    yield f"{len(listed)} files match their digests: {', '.join(sorted(listed))} (report.html is not digested)"


def events(_: Path, state: Facts) -> Lines:
    """Each event costs what its parameters imply, rounded up; on the Gaussian track all are Gaussian, with a scale of at least 1."""
    record = state["record"]
    k = _whole(record["unit"]["max_rows"], 1, "unit.max_rows")
    protected = record["unit"]["neighbours"] == "add-remove" and (record["unit"]["id"] or k == 1)
    require(protected, "the unit is not one this format can protect")
    state["cells"] = {column["name"]: _whole(column["cells"], 1, "cells") for column in record["schema"]}
    counted = {"discrete-gaussian": 0, "gaussian-errors": 0, "noisy-max": 0}
    state["sum"] = Fraction(0)
    for exchange in record["exchanges"]:
        for event in exchange["events"]:
            _check_event(event, k, state["cells"], record["guarantee"]["track"] == "gdp")
            counted[event["mechanism"]] += 1
            state["sum"] += _rational(event["rho"])
        check_exchange(exchange)
    yield f"{counted['discrete-gaussian']} tables (D = max_rows = {k}) cost D^2 / (2 s^2) (1 + 1 / (9 s^2)) each at noise of scale s"
    yield f"{counted['gaussian-errors']} lists of errors (D = {k} x 2^16) cost the same for each error"
    yield f"{counted['noisy-max']} noisy maxima (D = {k} x weight x 2^16, not monotone) cost D^2 / (2 s^2) each"


def _check_event(event: Facts, k: int, cells: Facts, gaussian: bool) -> None:
    mechanism, sensitivity, outcomes = event["mechanism"], event["sensitivity"], _whole(event["outcomes"], 1, "outcomes")
    weight, rest = divmod(_whole(sensitivity, 1, "sensitivity"), k if mechanism == "discrete-gaussian" else k << 16)
    what, is_table = f"an event ({mechanism}) on {event['columns']}", mechanism == "discrete-gaussian"
    require(not rest and weight <= (32 if mechanism == "noisy-max" else 1), f"{what} states another sensitivity than the unit implies")
    measured = outcomes == math.prod(cells[column] for column in event["columns"]) if is_table else not event["columns"]
    scale = _rational(event["scale"])
    require(measured and scale > 0, f"{what} states another table than it measured, or no noise")
    require(not gaussian or (scale >= 1 and mechanism != "noisy-max"), f"{what} is not Gaussian with a scale of at least 1")
    cost, factor = Fraction(sensitivity**2) / (2 * scale * scale), 1 + 1 / (9 * scale * scale)
    costs = {"discrete-gaussian": up(cost * factor), "gaussian-errors": up(cost * factor) * outcomes, "noisy-max": up(cost)}
    paid = mechanism in costs and _rational(event["rho"]) == costs[mechanism]
    require(paid, f"{what} is cheaper or dearer than its parameters imply, or not by a mechanism that is proved")


def check_exchange(exchange: Facts) -> None:
    """Every released table has an event of its own with the same columns and noise; errors and a selection have exactly one event."""
    tables = [(tuple(t["columns"]), t["sigma"]) for t in exchange["tables"]]
    noisy = [(tuple(e["columns"]), e["scale"]) for e in exchange["events"] if e["mechanism"] == "discrete-gaussian"]
    errors, selections = ([e for e in exchange["events"] if e["mechanism"] == name] for name in ("gaussian-errors", "noisy-max"))
    chosen, compared = exchange["selected"], exchange["errors"]
    same = all(event["question"] == exchange["question"] for event in exchange["events"])
    paid = tables == noisy and len(selections) == (chosen is not None) and len(errors) == (compared is not None)
    require(same and paid, "an answer was released without an event that pays for it")
    place = not selections or _whole(chosen, 0, "selected") < selections[0]["outcomes"]
    require(place, "a selection names a candidate that does not exist")
    alone = (chosen is None and compared is None) or (not tables and len(exchange["events"]) == 1)
    require(alone, "a selection or a list of errors shares its exchange with other answers")


def answers(folder: Path, state: Facts) -> Lines:
    """The noisy tables are those of the transcript that the ledger's MEASURED entry names."""
    parts, exchanges = [], state["record"]["exchanges"]
    with zipfile.ZipFile(folder / "measurements.npz") as archive:
        paid = [table["array"] for exchange in exchanges for table in exchange["tables"]]
        paid += [exchange["errors"] for exchange in exchanges if exchange["errors"] is not None]
        held = sorted(archive.namelist()) == sorted(f"{name}.npy" for name in paid) and len(set(paid)) == len(paid)
        require(held, "measurements.npz holds other arrays than the answers that were paid for")
        for exchange in exchanges:
            digests = []
            for table in exchange["tables"]:
                cells = math.prod(state["cells"][column] for column in table["columns"])
                digests.append([table["columns"], int64_digest(archive, table["array"], cells)])
            errors = exchange["errors"]
            errors = errors if errors is None else int64_digest(archive, errors, exchange["events"][0]["outcomes"])
            answer = hashlib.sha256(_canonical([digests, exchange["selected"], errors])).hexdigest()
            parts.append([exchange["question"], answer, [[event[key] for key in EVENT_KEYS] for event in exchange["events"]]])
    state["transcript"] = hashlib.sha256(_canonical(parts)).hexdigest()
    require(state["transcript"] == state["record"]["transcript"], "measurements.npz does not hold the answers of the transcript")
    yield f"the noisy tables are those of transcript {state['transcript'][:16]}..."


def int64_digest(archive: zipfile.ZipFile, name: str, cells: int) -> str:
    """SHA-256 of the raw little-endian values of a one-dimensional int64 array in .npy format, version 1.0."""
    info = archive.getinfo(f"{name}.npy")
    small = info.file_size <= min(8 * cells + 4096, LARGEST_FILE)
    require(small and info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), f"array {name} is larger than its table")
    data = archive.open(info).read(info.file_size)  # never unpacks more than that, whatever the compressed bytes hold
    length = int.from_bytes(data[8:10], "little")
    header = data[10 : 10 + length].decode("latin1").strip()
    said = f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({cells},), }}"
    require(data[:8] == b"\x93NUMPY\x01\x00" and header == said, f"array {name} is not int64[{cells}]")
    require(len(data) == 10 + length + 8 * cells, f"array {name} is cut short")
    return hashlib.sha256(data[10 + length :]).hexdigest()


def conversion(_: Path, state: Facts) -> Lines:
    """Costs sum to at most rho; delta >= exp((a-1)(a rho - epsilon)) / (a-1) * (1-1/a)^a at the witness a (arXiv:2004.00010), or GDP's."""
    claim = state["record"]["guarantee"]
    rho, epsilon, delta, alpha, alone = (_rational(claim[key]) for key in ("rho", "epsilon", "delta", "alpha", "zcdp_epsilon"))
    require(_rational(state["record"]["spent"]) == state["sum"], "the stated sum of costs is not the sum of the events")
    require(state["sum"] <= rho, "the events cost more than the claimed rho")
    yield f"the events sum to rho = {short(state['sum'])}, within the claimed {short(rho)}"
    sane = 1 < alpha <= 10**10 and 0 < epsilon <= alone <= 10**6 and 0 < delta < 1 and 0 < rho < 10**9
    require(sane, "the claim is out of all proportion: 80 digits do not decide it")
    require(claim["track"] == "gdp" or (claim["track"] == "zcdp" and epsilon == alone), "the claim is made on a track that is not proved")
    require(delta_bound(alpha, rho, alone) <= delta, "the claimed (epsilon, delta) is better than rho-zCDP implies at the witness")
    yield f"rho = {short(rho)} as zCDP implies ({short(alone)}, {short(delta)})-differential privacy at order {short(alpha)}"
    if claim["track"] == "gdp":
        require(gaussian_within(rho, epsilon, delta), "the claimed (epsilon, delta) is better than GDP with mu^2 = 2 rho implies")
        yield f"all answers being Gaussian, mu-GDP with mu^2 = 2 rho = {short(2 * rho)} implies ({short(epsilon)}, {short(delta)})"


def gaussian_within(rho: Fraction, epsilon: Fraction, delta: Fraction) -> bool:
    """delta >= phi(a) (m(a) - m(b)), a = epsilon/mu - mu/2 >= 2, b = a + mu, m Mills' ratio (arXiv:1905.02383, Corollary 2.13)."""
    c = CONTEXT
    mu = c.sqrt(_decimal(2 * rho))
    a = c.subtract(c.divide(_decimal(epsilon), mu), c.divide(mu, Decimal(2)))
    if a < 2:
        return False
    above, below = a, (b := c.add(a, mu))  # m(z) = 1/(z + 1/(z + 2/(z + ...))): odd convergents are above it, even ones below
    for numerator in range(400, 0, -1):
        above = c.add(a, c.divide(Decimal(numerator), above))
        below = c.add(b, c.divide(Decimal(numerator), below)) if numerator < 400 else b
    gap = c.subtract(c.divide(OUTWARD, above), c.divide(Decimal(1), c.multiply(below, OUTWARD)))
    density = c.multiply(DENSITY_AT_0, c.exp(c.divide(c.multiply(a, a), Decimal(-2))))
    return c.multiply(c.multiply(density, gap), OUTWARD) <= delta


def delta_bound(alpha: Fraction, rho: Fraction, epsilon: Fraction) -> Decimal:
    """The right side of the rule above, rounded up."""
    c = CONTEXT
    terms = c.add(_decimal((alpha - 1) * (alpha * rho - epsilon)), c.multiply(_decimal(alpha), c.ln(_decimal(1 - 1 / alpha))))
    return c.multiply(c.exp(c.subtract(terms, c.ln(_decimal(alpha - 1)))), OUTWARD)


def _decimal(value: Fraction) -> Decimal:
    return CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


def membership(folder: Path, state: Facts, verdict: Verdict) -> Lines:
    """The ledger's chain holds this release: PREPARE with its cap and unit, MEASURED with its transcript, RELEASED with its digest."""
    yield from whole_chain(folder, state)
    record, entries = state["record"], state["entries"]
    own = {entry["type"]: entry for entry in entries if entry["id"] == record["ledger"]["entry"]}
    here = entries[0]["body"]["dataset"] == record["ledger"]["dataset"] and {"PREPARE", "MEASURED"} <= set(own)
    require(here, "this release is not in this ledger")
    prepare, measured = own["PREPARE"], own["MEASURED"]
    named = (prepare["hash"], measured["hash"]) == (record["ledger"]["prepare"], record["ledger"]["measured"])
    require(named, "the ledger's entries for this release are not those the certificate names")
    charged = _rational(prepare["rho"]) >= _rational(record["guarantee"]["rho"]) and prepare["track"] == record["guarantee"]["track"]
    unit = {key: record["unit"][key] for key in ("id", "max_rows", "neighbours")}
    require(charged and prepare["body"]["unit"] == unit, "the ledger charged less, or another track or unit, than the certificate claims")
    answered = {"transcript": state["transcript"], "events": sum(len(exchange["events"]) for exchange in record["exchanges"])}
    require(measured["body"] == answered, "the ledger's MEASURED entry names another transcript")
    yield f"PREPARE (entry {prepare['seq']}) charged rho = {short(_rational(prepare['rho']))}"
    yield f"MEASURED (entry {measured['seq']}) names this transcript"
    if "RELEASED" not in own:
        verdict.lines.append(("warning", "the ledger has no RELEASED entry for this release: `dpsynth run --resume` completes it"))
    else:
        require(own["RELEASED"]["body"]["certificate"] == state["digest"], "the ledger's RELEASED entry names another certificate")
        yield f"RELEASED (entry {own['RELEASED']['seq']}) names this certificate"


def whole_chain(folder: Path, state: Facts) -> Lines:
    """Each entry names the one before it, and no release ever charged more than the policy allowed."""
    state["entries"] = entries = chain(_read_bytes(folder / "ledger.jsonl"))
    yield f"the ledger's {len(entries)} entries form one chain, head {entries[-1]['hash']}"
    yield f"at each of {sum(e['type'] == 'PREPARE' for e in entries)} PREPARE entries the sum of costs stayed within the policy's epsilon"


def chain(data: bytes) -> list[Facts]:
    """The entries, each where it was written, within the policy that stood then."""
    require(data.endswith(b"\n"), "the ledger's last line is torn: the next use of the ledger settles it")
    entries: list[Facts] = []
    account: Facts = {"rho": Fraction(0), "delta": Fraction(0), "policy": None, "unit": None, "status": {}, "gaussian": True, "open": False}
    for seq, line in enumerate(data[:-1].split(b"\n")):
        entry = read_canonical(line, f"ledger entry {seq}")
        content = _canonical({key: value for key, value in entry.items() if key != "hash"})
        place = (1, seq, entries[-1]["hash"] if entries else "0" * 64, hashlib.sha256(b"\x00" + content).hexdigest())
        written = set(entry) == ENTRY_KEYS and (entry["v"], entry["seq"], entry["prev"], entry["hash"]) == place
        written = written and type(entry["v"]) is type(entry["seq"]) is int  # true equals 1
        require(written, f"ledger entry {seq} is not the one that was written there")
        require(follows(entry, account), f"ledger entry {seq} ({entry['type'][:10]}) cannot stand there, or follows what no policy allows")
        entries.append(entry)
    require(within(account), "the ledger's releases charge more than the policy allows")
    return entries


def follows(entry: Facts, account: Facts) -> bool:
    """Whether an entry may follow what the account holds; adds it. A unit, once stated, stays; only PREPARE charges."""
    kind, rho, delta, status = entry["type"], _rational(entry["rho"]), _rational(entry["delta"]), account["status"]
    stands = kind == {0: "GENESIS", 1: "POLICY"}.get(entry["seq"], kind) and (entry["seq"] == 0 or kind != "GENESIS")
    stands = stands and (kind == "PREPARE" or (rho == delta == 0 and entry["track"] == ""))
    if kind in ("POLICY", "PREPARE") and (unit := entry["body"]["unit"]["id"]) is not None:
        stands = stands and account["unit"] in (None, unit)
        account["unit"] = unit
    if kind == "POLICY":  # sums only grow, so that the last sum under a policy tells whether all of them were within it
        stands = stands and within(account)
        account.update(policy=(_rational(entry["body"]["epsilon"]), _rational(entry["body"]["delta"])), open=False)
    elif kind == "PREPARE":
        stands = stands and rho > 0 and entry["track"] in ("zcdp", "gdp") and entry["id"] and entry["id"] not in status
        stands = stands and entry["body"]["unit"]["neighbours"] == "add-remove"
        gaussian = account["gaussian"] and entry["track"] == "gdp"
        account.update(rho=account["rho"] + rho, delta=account["delta"] + delta, gaussian=gaussian, open=True)
    else:
        stands = stands and (kind in ("GENESIS", "NOTE") or status.get(entry["id"]) in BEFORE[kind])
    status.update({entry["id"]: kind} if kind == "PREPARE" or kind in BEFORE else {})
    return bool(stands)


def within(account: Facts) -> bool:
    """Whether the sum under the policy is within it: as GDP while all is Gaussian, or as zCDP at the best order, where the slope is 0."""
    if not account["open"]:
        return True
    rho, (epsilon, delta) = account["rho"], account["policy"]
    delta -= account["delta"]
    low, high = 1 + 2.0**-20, 1e9
    for _ in range(200):
        middle = math.sqrt(low * high)
        falling = (2 * middle - 1) * float(rho) - float(epsilon) + math.log1p(-1 / middle) < 0
        low, high = (middle, high) if falling else (low, middle)
    if delta <= 0 or (account["gaussian"] and gaussian_within(rho, epsilon, delta)):
        return bool(delta > 0)
    return bool(delta_bound(Fraction(round(high * (1 << 30)), 1 << 30), rho, epsilon) <= delta)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="verify.py", description=__doc__.split("\n")[0])
    parser.add_argument("folder", metavar="DIR", help="the bundle")
    parser.add_argument("--ledger", metavar="FOLDER", help="the folder that holds ledger.jsonl")
    given = parser.parse_args(arguments)
    verdict = verify(given.folder, given.ledger)
    text = f"{verdict}\n{'VERIFIED' if verdict.ok else 'NOT VERIFIED'}"
    print(text.encode(sys.stdout.encoding, "backslashreplace").decode(sys.stdout.encoding))
    return 0 if verdict.ok else 4


if __name__ == "__main__":
    sys.exit(main())
