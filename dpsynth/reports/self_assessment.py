"""What NIST SP 800-226 asks of a claim of differential privacy, answered by the run where it can be; the rest is said to be open."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dpsynth import canonical
from dpsynth.column import DECLARED, is_public
from dpsynth.privacy import plain
from dpsynth.publication import Publication
from dpsynth.reports.wording import plural

RUN, PEOPLE, OPEN = "the run", "the spec's [registry]", "not answered"


@dataclass(frozen=True)
class Answered:
    """One question with its answer and who gives it; an open one says what would answer it."""

    topic: str
    question: str
    answer: str
    by: str


def self_assessment(facts: Mapping[str, Any]) -> tuple[Answered, ...]:
    """The questions of the guidelines about a certificate, in the order of their pyramid: guarantee, mechanism, data."""
    people = Publication.from_facts(facts["registry"])
    return (
        *_guarantee(facts),
        _choice_of_epsilon(people),
        *_domain(facts),
        *_accuracy(facts),
        *_threats(people),
        *_data(people),
    )


def _run(topic: str, question: str, *sentences: str) -> Answered:
    return Answered(topic, question, " ".join(filter(None, sentences)), RUN)


def _people(topic: str, question: str, answer: str, key: str) -> Answered:
    if answer:
        return Answered(topic, question, answer, PEOPLE)
    return Answered(topic, question, f"Only people know: registry.{key} in the spec would answer it.", OPEN)


def _guarantee(facts: Mapping[str, Any]) -> list[Answered]:
    unit, claim = facts["unit"], facts["guarantee"]
    epsilon, delta, rho = (plain(canonical.rational(claim[key])) for key in ("epsilon", "delta", "rho"))
    who = f"All rows with one value of column {unit['id']!r}." if unit["id"] else "One row; where one person has several, each is one unit."
    track = {
        "zcdp": "Costs add up as zero-concentrated differential privacy; the conversion is arXiv:2004.00010, Proposition 12.",
        "gdp": (
            "All answers are Gaussian, so costs add up as Gaussian differential privacy, mu^2 = 2 rho; the conversion is arXiv:1905.02383, "
            f"Corollary 2.13. Zero-concentrated differential privacy alone would show epsilon "
            f"{plain(canonical.rational(claim['zcdp_epsilon']))}."
        ),
    }
    account = facts["ledger"]["dataset"] if facts["ledger"] else ""
    return [
        _run("Unit of privacy", "Whose data is protected as a whole?", who),
        _run("Neighbours", "Which tables are to be told apart with difficulty?", "Those of which one holds all rows of one more unit."),
        _run("Parameters", "What is claimed?", f"epsilon {epsilon} and delta {delta}, from rho = {rho}. All are rounded up."),
        _run("Conversions", "How do the parameters follow from each other?", track[claim["track"]], "The verifier repeats it."),
        _run(
            "Contribution bound",
            "What bounds the influence of one unit, and is it enforced?",
            f"{unit['enforced'][:1].upper()}{unit['enforced'][1:]}.",
        ),
        _run(
            "Composition",
            "Do all releases about the same people add up?",
            "Within this release, under a cap that was charged before the first row was read." if account else "",
            f"Over all releases, in the account {account}: `dpsynth ledger show` gives the sum and what is left." if account else "",
            "" if account else "A rehearsal is charged to no account.",
        ),
    ]


def _choice_of_epsilon(people: Publication) -> Answered:
    return _people("Choice of parameters", "Why are epsilon and delta small enough for this use?", people.justification, "justification")


def _domain(facts: Mapping[str, Any]) -> list[Answered]:
    asked = [column for column in facts["schema"] if column["cells"]]
    declared = [column["name"] for column in asked if column["source"] == DECLARED]
    sourced = sum(is_public(column["source"]) for column in asked)
    owner = f"{plural(len(declared), 'column')} on the data owner's word: {', '.join(declared)}." if declared else ""
    return [
        _run(
            "Bins and categories",
            "How were bounds, bins and categories chosen?",
            "They are declared in the spec; the software reads none off the rows.",
            f"{plural(sourced, 'column')} from a named public source." if sourced else "",
            owner,
        ),
        _run(
            "Invariants",
            "What is released without noise?",
            "Nothing about the rows. What is taken as public is listed under Not protected.",
        ),
    ]


def _accuracy(facts: Mapping[str, Any]) -> list[Answered]:
    promised = len(facts["targets"])
    return [
        _run(
            "Accuracy",
            "How accurate is the result, and how is that known without spending more?",
            "The noise of each table is known and listed; measured and modelled tables are compared above, from released values only.",
            f"{plural(promised, 'table')} was promised a distance before the run." if promised == 1 else "",
            f"{promised} tables were promised a distance before the run." if promised > 1 else "",
        ),
        _run(
            "Bias of post-processing",
            "Does what happens after the noise distort the result?",
            "Yes: a fitted table has no negative cells, so small cells are too large on average, and combinations that were not measured "
            "follow from the model. Rare groups lose most. The noisy tables, which are unbiased, are in the bundle.",
        ),
        Answered(
            "Systemic bias",
            "Whom does the data leave out, and does the noise fall on some groups more than on others?",
            "Noise has the same size for all groups, so it falls hardest on small ones. Whom the data leaves out, the run cannot know.",
            OPEN,
        ),
    ]


def _threats(people: Publication) -> list[Answered]:
    return [
        _run(
            "Threat model",
            "Who is trusted, and against whom does the guarantee hold?",
            "Central model: the operator and the machine are trusted. It holds against everyone who sees what was released, with any other "
            "knowledge and any computing power.",
        ),
        _people("Actors", "Who sees the rows or the answers before release?", people.actors, "actors"),
        _run(
            "Implementation",
            "Was the mechanism implemented as proved?",
            "Counts are integers until the noise is added, noise is drawn by OpenDP from the operating system's generator and takes no "
            "seed, and each mechanism has a proof page that names its code. Who runs other code is not found out by any check.",
        ),
        _run(
            "Side channels",
            "What can be learned past the result?",
            "Messages, exit codes and files depend on public facts and noisy answers only. Time, memory and disk are not hidden from "
            "others on the same machine.",
        ),
    ]


def _data(people: Publication) -> list[Answered]:
    return [
        _people("Data handling", "How are the rows collected, stored and deleted, and who has access?", people.security, "security"),
        _people("Preparation", "What was done to the rows before the run, and was it charged?", people.preprocessing, "preprocessing"),
        _run(
            "Further copies",
            "What else is published about these people?",
            "Nothing here can see other ledgers, extracts or publications: their owner has to say.",
        ),
    ]
