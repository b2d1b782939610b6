"""Check a dpsynth release without the package, the data or the network: `python verify.py DIR [--ledger FOLDER]`.

Standard library only; nothing of the package is imported. Every line printed names the rule it applied.
Exit code 0: all rules hold; 4: one does not. Costs are exact fractions; conversions and tails have 80 digits, rounded up.
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
CONTEXT = Context(prec=80, Emin=-(10**9), Emax=10**9)
OUTWARD = CONTEXT.add(Decimal(1), Decimal("1e-60"))
DENSITY_AT_0 = Decimal("0.398942280401432677939946059934381868475858631164934657665925829670658")  # 1 / sqrt(2 pi), rounded up
LARGEST_FILE = 1 << 28
BEFORE = {"MEASURED": ("PREPARE",), "RELEASED": ("MEASURED",), "ABORTED": ("PREPARE", "MEASURED")}
EVENT_KEYS = ("mechanism", "columns", "sensitivity", "scale", "outcomes", "rho", "question", "threshold", "delta")
COUNTS = ("discrete-gaussian", "gaussian-threshold")
CLAIMED = ("rho", "epsilon", "delta", "alpha", "zcdp_epsilon", "given")
ENTRY_KEYS = {"v", "seq", "prev", "type", "id", "release", "day", "track", "rho", "delta", "body", "code", "actor", "hash"}
TRUSTED = (
    "that at most max_rows rows of each unit were used, and the curator ran unmodified (the code's tests and proofs say why it does)",
    "that the public facts of the schema (bounds, categories) were not read off the private data",
    "that the noise was unseeded, from the operating system, and that no second ledger or copy of the data exists for the same people",
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
    verdict, state = Verdict(), Facts()
    steps = [stage(Path(folder), state) for stage in (certificate, files, events, answers, conversion)]
    steps += [membership(Path(ledger), state, verdict)] if ledger is not None else []
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


def attempted(step: Iterator[str], verdict: Verdict, what: str) -> bool:
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


def certificate(folder: Path, state: Facts) -> Iterator[str]:
    """release.json is canonical and carries its own digest."""
    data = _read_bytes(folder / "release.json")
    record = read_canonical(data[:-1] if data.endswith(b"\n") else b"", "release.json")
    claimed = record.pop("digest", None)
    require(hashlib.sha256(_canonical(record)).hexdigest() == claimed, "release.json was changed: its digest does not match its content")
    require(record["rehearsal"] is False and record["format"] == "dpsynth-release/3", "a REHEARSAL, that claims nothing, or another format")
    state.update(record=record, digest=claimed)
    yield f"release.json of {record['release']['name']!r} is canonical and matches its own digest {claimed[:16]}..."


def files(folder: Path, state: Facts) -> Iterator[str]:
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


def events(_: Path, state: Facts) -> Iterator[str]:
    """Each event costs what its parameters imply, rounded up; on the Gaussian track all are Gaussian, with a scale of at least 1."""
    record, unit = state["record"], state["record"]["unit"]
    k = _whole(unit["max_rows"], 1, "unit.max_rows")
    require(unit["neighbours"] == "add-remove" and (unit["id"] or k == 1), "the unit is not one this format can protect")
    found = record["discovery"] or {"declared": record["schema"], "exchanges": 0}  # the first exchanges may complete the schema
    first, rest = ({column["name"]: _whole(column["cells"], 0, "cells") for column in s} for s in (found["declared"], record["schema"]))
    state["cells"] = [first if place < found["exchanges"] else rest for place in range(len(record["exchanges"]))]
    for exchange, cells in zip(record["exchanges"], state["cells"], strict=True):
        for event in exchange["events"]:
            _check_event(event, k, cells, record["guarantee"]["track"] == "gdp")
        check_exchange(exchange)
    every = [event for exchange in record["exchanges"] for event in exchange["events"]]
    state.update({key: sum((_rational(event[key]) for event in every), Fraction(0)) for key in ("rho", "delta")})
    names = [event["mechanism"] for event in every]
    yield f"{names.count('discrete-gaussian')} tables (D = max_rows = {k}) cost D^2 / (2 s^2) (1 + 1 / (9 s^2)) each at noise of scale s"
    yield f"{names.count('gaussian-errors')} lists of errors (D = {k} x 2^16) cost the same for each error"
    yield f"{names.count('gaussian-threshold')} lists of labels (D = {k}) cost the same, and at threshold T delta = k Phi(-(T - k - 1) / s)"
    yield f"{names.count('noisy-max')} noisy maxima (D = {k} x weight x 2^16, not monotone) cost D^2 / (2 s^2) each"


def _check_event(event: Facts, k: int, cells: Facts, gaussian: bool) -> None:
    mechanism, sensitivity, outcomes = event["mechanism"], event["sensitivity"], _whole(event["outcomes"], 1, "outcomes")
    what, counts = f"an event ({mechanism}) on {event['columns']}", mechanism in COUNTS
    weight, rest = divmod(_whole(sensitivity, 1, "sensitivity"), k if counts else k << 16)
    require(not rest and weight <= (32 if mechanism == "noisy-max" else 1), f"{what} states another sensitivity than the unit implies")
    sizes = [cells[column] for column in event["columns"]]
    measured = {"discrete-gaussian": outcomes == math.prod(sizes), "gaussian-threshold": sizes == [0]}.get(mechanism, not sizes)
    scale, threshold, given = _rational(event["scale"]), _whole(event["threshold"], 0, "threshold"), _rational(event["delta"])
    require(measured and scale > 0, f"{what} states another table than it measured, or no noise")
    require(not gaussian or (scale >= 1 and mechanism != "noisy-max"), f"{what} is not Gaussian with a scale of at least 1")
    cost, factor = Fraction(sensitivity**2) / (2 * scale * scale), 1 + 1 / (9 * scale * scale)
    costs = {"gaussian-errors": up(cost * factor) * outcomes, "noisy-max": up(cost), **dict.fromkeys(COUNTS, up(cost * factor))}
    paid = mechanism in costs and _rational(event["rho"]) == costs[mechanism]
    require(paid, f"{what} is cheaper or dearer than its parameters imply, or not by a mechanism that is proved")
    z = _decimal(min((threshold - k - 1) / scale, Fraction(40)))
    hides = z >= 2 and tail(z) <= given / k if mechanism == "gaussian-threshold" else threshold == given == 0
    require(hides, f"{what} gives away more delta than it states")


def check_exchange(exchange: Facts) -> None:
    """Every released table has an event of its own with the same columns and noise; errors, labels and a selection have exactly one."""
    tables = [(tuple(t["columns"]), t["sigma"]) for t in exchange["tables"]]
    noisy = [(tuple(e["columns"]), e["scale"]) for e in exchange["events"] if e["mechanism"] == "discrete-gaussian"]
    others = {"gaussian-errors": exchange["errors"], "noisy-max": exchange["selected"], "gaussian-threshold": exchange["labels"]}
    events = {name: [event for event in exchange["events"] if event["mechanism"] == name] for name in others}
    same = all(event["question"] == exchange["question"] for event in exchange["events"])
    paid = tables == noisy and all(len(events[name]) == (answer is not None) for name, answer in others.items())
    require(same and paid, "an answer was released without an event that pays for it")
    place = not events["noisy-max"] or _whole(exchange["selected"], 0, "selected") < events["noisy-max"][0]["outcomes"]
    require(place, "a selection names a candidate that does not exist")
    alone = others == dict.fromkeys(others) or (not tables and len(exchange["events"]) == 1)
    require(alone, "a selection, a list of errors or labels shares its exchange with other answers")
    texts = (exchange["labels"] or {"texts": []})["texts"]
    few = not texts or len(set(texts)) == len(texts) <= events["gaussian-threshold"][0]["outcomes"]
    require(few and all(isinstance(text, str) for text in texts), "labels are told twice, or more of them than were asked for")


def answers(folder: Path, state: Facts) -> Iterator[str]:
    """The noisy tables are those of the transcript that the ledger's MEASURED entry names."""
    parts, exchanges = [], state["record"]["exchanges"]
    with zipfile.ZipFile(folder / "measurements.npz") as archive:
        paid = [table["array"] for exchange in exchanges for table in exchange["tables"]]
        paid += [name for e in exchanges for name in (e["errors"], (e["labels"] or {}).get("array")) if name is not None]
        held = sorted(archive.namelist()) == sorted(f"{name}.npy" for name in paid) and len(set(paid)) == len(paid)
        require(held, "measurements.npz holds other arrays than the answers that were paid for")
        for exchange, sizes in zip(exchanges, state["cells"], strict=True):
            cells = [math.prod(sizes[column] for column in table["columns"]) for table in exchange["tables"]]
            digests = [[t["columns"], int64_digest(archive, t["array"], n)] for t, n in zip(exchange["tables"], cells, strict=True)]
            errors, labels = exchange["errors"], exchange["labels"]
            errors = errors if errors is None else int64_digest(archive, errors, exchange["events"][0]["outcomes"])
            labels = labels if labels is None else [labels["texts"], int64_digest(archive, labels["array"], len(labels["texts"]))]
            answer = hashlib.sha256(_canonical([digests, exchange["selected"], errors, labels])).hexdigest()
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
    same = data[:8] == b"\x93NUMPY\x01\x00" and header == said and len(data) == 10 + length + 8 * cells
    require(same, f"array {name} is not int64[{cells}]")
    return hashlib.sha256(data[10 + length :]).hexdigest()


def conversion(_: Path, state: Facts) -> Iterator[str]:
    """Costs sum to at most rho; delta >= exp((a-1)(a rho - epsilon)) / (a-1) * (1-1/a)^a at the witness a (arXiv:2004.00010), or GDP's."""
    claim = state["record"]["guarantee"]
    rho, epsilon, delta, alpha, alone, given = (_rational(claim[key]) for key in CLAIMED)
    require(_rational(state["record"]["spent"]) == state["rho"], "the stated sum of costs is not the sum of the events")
    require(state["rho"] <= rho and state["delta"] <= given, "the events cost more than the claimed rho, or than the delta given for them")
    yield f"the events sum to rho = {short(state['rho'])}, within the claimed {short(rho)}"
    yield f"they give away a delta of {short(state['delta'])}, within {short(given)} of {short(delta)}; rho is converted at the rest"
    delta -= given
    require(1 < alpha <= 10**10 and 0 < epsilon <= alone <= 10**6 and 0 < delta < 1 - given and 0 < rho < 10**9, "out of all proportion")
    require(claim["track"] == "gdp" or (claim["track"] == "zcdp" and epsilon == alone), "the claim is made on a track that is not proved")
    require(delta_bound(alpha, rho, alone) <= delta, "the claimed (epsilon, delta) is better than rho-zCDP implies at the witness")
    yield f"rho = {short(rho)} as zCDP implies ({short(alone)}, {short(delta)})-differential privacy at order {short(alpha)}"
    if claim["track"] == "gdp":
        require(gaussian_within(rho, epsilon, delta), "the claimed (epsilon, delta) is better than GDP with mu^2 = 2 rho implies")
        yield f"all answers being Gaussian, mu-GDP with mu^2 = 2 rho = {short(2 * rho)} implies ({short(epsilon)}, {short(delta)})"


def gaussian_within(rho: Fraction, epsilon: Fraction, delta: Fraction) -> bool:
    """delta >= phi(a) (m(a) - m(b)), a = epsilon/mu - mu/2 >= 2, b = a + mu, m Mills' ratio (arXiv:1905.02383, Corollary 2.13)."""
    mu = CONTEXT.sqrt(_decimal(2 * rho))
    a = CONTEXT.subtract(CONTEXT.divide(_decimal(epsilon), mu), CONTEXT.divide(mu, Decimal(2)))
    return a >= 2 and tail(a, CONTEXT.add(a, mu)) <= delta


def tail(a: Decimal, b: Decimal = Decimal("Infinity")) -> Decimal:
    """phi(a) (m(a) - m(b)), rounded up: m(z) = 1/(z + 1/(z + 2/(z + ...))), odd convergents are above, even ones below; m(infinity) = 0."""
    above, below, density = a, b, CONTEXT.exp(CONTEXT.divide(CONTEXT.multiply(a, a), Decimal(-2)))
    for numerator in range(400, 0, -1):
        above = CONTEXT.add(a, CONTEXT.divide(Decimal(numerator), above))
        below = CONTEXT.add(b, CONTEXT.divide(Decimal(numerator), below)) if numerator < 400 else b
    gap = CONTEXT.subtract(CONTEXT.divide(OUTWARD, above), CONTEXT.divide(Decimal(1), CONTEXT.multiply(below, OUTWARD)))
    return CONTEXT.multiply(CONTEXT.multiply(CONTEXT.multiply(DENSITY_AT_0, density), gap), OUTWARD)


def delta_bound(alpha: Fraction, rho: Fraction, epsilon: Fraction) -> Decimal:
    """The right side of the rule above, rounded up."""
    rest = CONTEXT.subtract(CONTEXT.multiply(_decimal(alpha), CONTEXT.ln(_decimal(1 - 1 / alpha))), CONTEXT.ln(_decimal(alpha - 1)))
    return CONTEXT.multiply(CONTEXT.exp(CONTEXT.add(_decimal((alpha - 1) * (alpha * rho - epsilon)), rest)), OUTWARD)


def _decimal(value: Fraction) -> Decimal:
    return CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


def membership(folder: Path, state: Facts, verdict: Verdict) -> Iterator[str]:
    """The ledger's chain holds this release: PREPARE with its cap and unit, MEASURED with its transcript, RELEASED with its digest."""
    yield from whole_chain(folder, state)
    record, held, entries = state["record"], state["record"]["ledger"], state["entries"]
    own = {entry["type"]: entry for entry in entries if entry["id"] == held["entry"]}
    require(entries[0]["body"]["dataset"] == held["dataset"] and {*own} >= {"PREPARE", "MEASURED"}, "this release is not in this ledger")
    prepare, measured = own["PREPARE"], own["MEASURED"]
    named = (prepare["hash"], measured["hash"]) == (held["prepare"], held["measured"])
    require(named, "the ledger's entries for this release are not those the certificate names")
    charged = all(_rational(prepare[to]) >= _rational(record["guarantee"][of]) for to, of in (("rho", "rho"), ("delta", "given")))
    charged = charged and prepare["track"] == record["guarantee"]["track"]
    unit = {key: record["unit"][key] for key in ("id", "max_rows", "neighbours")}
    require(charged and prepare["body"]["unit"] == unit, "the ledger charged less, or another track or unit, than the certificate claims")
    answered = {"transcript": state["transcript"], "events": sum(len(exchange["events"]) for exchange in record["exchanges"])}
    require(measured["body"] == answered, "the ledger's MEASURED entry names another transcript")
    yield f"PREPARE (entry {prepare['seq']}) charged rho = {short(_rational(prepare['rho']))}; MEASURED names this transcript"
    if "RELEASED" not in own:
        verdict.lines.append(("warning", "the ledger has no RELEASED entry for this release: `dpsynth run --resume` completes it"))
    else:
        require(own["RELEASED"]["body"]["certificate"] == state["digest"], "the ledger's RELEASED entry names another certificate")
        yield f"RELEASED (entry {own['RELEASED']['seq']}) names this certificate"


def whole_chain(folder: Path, state: Facts) -> Iterator[str]:
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
        account.update(rho=account["rho"] + rho, delta=account["delta"] + delta, open=True)
        account["gaussian"] &= entry["track"] == "gdp"
    else:
        stands = stands and (kind in ("GENESIS", "NOTE") or status.get(entry["id"]) in BEFORE[kind])
    status.update({entry["id"]: kind} if kind == "PREPARE" or kind in BEFORE else {})
    return bool(stands)


def within(account: Facts) -> bool:
    """Whether the sum under the policy is within it: as GDP while all is Gaussian, or as zCDP at the best order, where the slope is 0."""
    if not account["open"]:
        return True
    rho, (epsilon, delta), low, high = account["rho"], account["policy"], 1 + 2.0**-20, 1e9
    delta -= account["delta"]
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if (2 * middle - 1) * float(rho) - float(epsilon) + math.log1p(-1 / middle) < 0 else (low, middle)
    at_best = Fraction(round(high * (1 << 30)), 1 << 30)
    gaussian = account["gaussian"] and gaussian_within(rho, epsilon, delta)
    return bool(delta > 0 and (gaussian or delta_bound(at_best, rho, epsilon) <= delta))


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="verify.py", description=__doc__.split("\n")[0])
    parser.add_argument("folder", metavar="DIR", help="the bundle")
    parser.add_argument("--ledger", metavar="FOLDER", help="the folder that holds ledger.jsonl")
    verdict = verify(**vars(parser.parse_args(arguments)))
    text = f"{verdict}\n{'VERIFIED' if verdict.ok else 'NOT VERIFIED'}".encode(sys.stdout.encoding, "backslashreplace")
    print(text.decode(sys.stdout.encoding))
    return 0 if verdict.ok else 4


if __name__ == "__main__":
    sys.exit(main())
