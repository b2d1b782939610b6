"""The commands of an account: `dpsynth ledger ...`. A thin skin, as `cli` is."""

import sys
from pathlib import Path

import click

from dpsynth.command import example, guarded, json_option, show
from dpsynth.errors import SpecError

folder_argument = click.argument("folder", type=click.Path(path_type=Path))
approver_option = click.option("--approver", "approvers", multiple=True, metavar="NAME", help="Who approved it; may be repeated.")
signer_option = click.option(
    "--signer", "signers", multiple=True, metavar="NAME=FILE.pub", help="Who may sign heads, with which ssh key; may be repeated."
)
covers_option = click.option("--covers", metavar="TEXT", help="Which versions of the data share the account.")


@click.group()
def ledger() -> None:
    """The account of a protected dataset: open it, read it, check it, sign it, hand it out."""


@ledger.command("init", epilog=example("dpsynth ledger init budgets/adult --epsilon 4 --delta 1e-8 --approver 'Data protection officer'"))
@folder_argument
@click.option("--epsilon", required=True, help="Total that all releases together may claim.")
@click.option("--delta", required=True, help="Total delta; well below 1 / people.")
@click.option("--unit", metavar="COLUMN", help='Column that names a person; "" where each row is one.  [default: the first release says]')
@click.option("--max-rows", type=click.IntRange(1), metavar="K", help="Most rows of one unit that a release may use.  [default: any]")
@approver_option
@covers_option
@signer_option
@json_option
@guarded
def ledger_init(
    folder: Path,
    epsilon: str,
    delta: str,
    unit: str | None,
    max_rows: int | None,
    approvers: tuple[str, ...],
    covers: str | None,
    signers: tuple[str, ...],
    as_json: bool,
) -> None:
    """Open an account, once, by the owner of the budget.

    Writes policy.toml and the first entries of ledger.jsonl.
    """
    from dpsynth.core.ledger import Ledger

    keys = _signers(signers)
    opened = Ledger.init(
        folder, epsilon=epsilon, delta=delta, unit=unit, max_rows=max_rows, approvers=approvers, covers=covers, signers=keys
    )
    account = opened.read()
    text = f"opened {opened.folder}: epsilon {epsilon} at delta {delta} for all releases together"
    show({"folder": str(opened.folder), "dataset": account.dataset, "head": account.head}, text, as_json)


@ledger.command("show", epilog=example("dpsynth ledger show budgets/adult"))
@folder_argument
@json_option
@guarded
def ledger_show(folder: Path, as_json: bool) -> None:
    """What was spent, for what, by whom, and what is left."""
    from dpsynth.accounts import ledger_view

    view = ledger_view(folder)
    show(view.facts(), str(view), as_json)


@ledger.command(
    "verify",
    epilog=example(
        "dpsynth ledger verify budgets/adult",
        "dpsynth ledger verify budgets/adult --signers allowed_signers --head " + "0f1e2d3c" * 8,
    ),
)
@folder_argument
@click.option("--head", "held", multiple=True, metavar="HASH", help="Hash of an entry you were given before; may be repeated.")
@click.option("--signers", type=click.Path(path_type=Path), metavar="FILE", help="Your own ssh allowed-signers file: whom you trust.")
@json_option
@guarded
def ledger_verify(folder: Path, held: tuple[str, ...], signers: Path | None, as_json: bool) -> None:
    """Check the chain of entries, the policy at each charge, and signed heads.

    A chain alone cannot show that it was rolled back. A head you hold, or one that a signer signed, can. Exit code 4 where a rule does
    not hold.
    """
    from dpsynth.accounts import check_ledger

    verdict = check_ledger(folder, held=held, signers=signers)
    word = "VERIFIED" if verdict.ok else "NOT VERIFIED"
    show({"ok": verdict.ok, "lines": verdict.lines}, f"{verdict}\n{word}", as_json)
    sys.exit(0 if verdict.ok else 4)


@ledger.command("note", epilog=example("dpsynth ledger note budgets/adult 'The 2025 extract was deleted on 3 March'"))
@folder_argument
@click.argument("text")
@json_option
@guarded
def ledger_note(folder: Path, text: str, as_json: bool) -> None:
    """Add something a reader should know. An entry is never changed or removed."""
    from dpsynth.core.ledger import Ledger

    if not text.strip() or not text.isprintable() or len(text) > 2000:
        raise SpecError("a note is one line of 1 to 2000 printable characters: everyone who reads the ledger sees it")
    entry = Ledger.open(folder).note(text)
    show({"seq": entry.seq, "hash": entry.hash}, f"entry {entry.seq}: {text}\nhead: {entry.hash}", as_json)


@ledger.command(
    "policy",
    epilog=example(
        "dpsynth ledger policy budgets/adult --epsilon 6 --delta 1e-8 --approver 'Data protection officer'",
        "dpsynth ledger policy budgets/adult --approver 'Data protection officer' --signer ada@example.org=ada.pub",
    ),
)
@folder_argument
@click.option("--epsilon", help="New total that all releases together may claim.  [default: as it is]")
@click.option("--delta", help="New total delta.  [default: as it is]")
@click.option("--max-rows", type=click.IntRange(1), metavar="K", help="Most rows of one unit that a release may use.  [default: as it is]")
@approver_option
@covers_option
@signer_option
@json_option
@guarded
def ledger_policy(
    folder: Path,
    epsilon: str | None,
    delta: str | None,
    max_rows: int | None,
    approvers: tuple[str, ...],
    covers: str | None,
    signers: tuple[str, ...],
    as_json: bool,
) -> None:
    """Change the policy by an entry: from there on the new one stands, and what was spent stays spent.

    Needs an approver. The signers, where given, replace the earlier ones; a new key counts once an old one has signed after that.
    """
    from dpsynth.core.ledger import Ledger

    opened = Ledger.open(folder)
    entry = opened.change_policy(
        epsilon=epsilon, delta=delta, max_rows=max_rows, approvers=approvers, covers=covers, signers=_signers(signers) or None
    )
    show({"seq": entry.seq, "hash": entry.hash}, f"entry {entry.seq}: a new policy stands; see `dpsynth ledger show {folder}`", as_json)


@ledger.command("sign", epilog=example("dpsynth ledger sign budgets/adult --key ~/.ssh/id_ed25519"))
@folder_argument
@click.option(
    "--key", type=click.Path(path_type=Path), required=True, metavar="FILE", help="An ssh key, or a .pub one that the agent holds."
)
@json_option
@guarded
def ledger_sign(folder: Path, key: Path, as_json: bool) -> None:
    """Vouch, with an ssh key, for where the ledger ends today. Later readers see whether it was rolled back.

    Writes heads/N.json and heads/N.json.sig, which `ssh-keygen -Y verify -n dpsynth-ledger` can check alone. Keep a copy elsewhere.
    """
    from dpsynth.core.ledger import Ledger
    from dpsynth.core.ledger_heads import sign_head

    opened = Ledger.open(folder)
    signed = sign_head(opened.folder, opened.read(), key)
    facts = {"file": str(folder / "heads" / signed.file), **vars(signed.head)}
    show(
        facts, f"signed: entry {signed.head.seq}, head {signed.head.hash}\nkept:   {facts['file']} and .sig; keep a copy elsewhere", as_json
    )


@ledger.command("export", epilog=example("dpsynth ledger export budgets/adult --out adult-account"))
@folder_argument
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="A new folder.")
@json_option
@guarded
def ledger_export(folder: Path, out: Path, as_json: bool) -> None:
    """Write entries.csv, releases.csv and ledger.html: tables for spreadsheets, and a page that opens offline."""
    from dpsynth.accounts import export_ledger

    exported = export_ledger(folder, out)
    files = [str(path) for path in exported.files]
    warning = "" if exported.verdict.ok else "\nNOT VERIFIED: see the page, or `dpsynth ledger verify`"
    show({"files": files, "ok": exported.verdict.ok}, "\n".join(files) + warning, as_json)


def _signers(given: tuple[str, ...]) -> tuple[str, ...]:
    from dpsynth.core.signatures import signer_line

    return tuple(map(signer_line, given))
