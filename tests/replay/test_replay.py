"""From the transcript alone, strategy, inference and sampling give the same records byte for byte."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dpsynth import pipeline
from dpsynth.errors import ProtocolError
from dpsynth.transcript import Answer, Exchange, Replay, Transcript
from tests.replay.again import again, transcript_of
from tests.stories.world import python

FILES = {"csv": "synthetic.csv", "parquet": "synthetic.parquet"}


def replayed(spec, transcript):
    return pipeline.replayed(spec, pipeline.planned(spec)[0], transcript)


def changed(transcript, place, change):
    """The transcript with one exchange replaced."""
    exchanges = list(transcript.exchanges)
    exchanges[place] = change(exchanges[place])
    return Transcript(tuple(exchanges))


def shifted(exchange):
    """One cell of the first table is one row more."""
    first, *rest = exchange.answer.measurements
    values = np.array(first.values)
    values[0] += 1
    return replace(exchange, answer=Answer((replace(first, values=values), *rest)))


@pytest.mark.parametrize(("hash_seed", "threads"), [("1", "1"), ("271828", "4")])
def test_another_process_makes_the_same_files(release, tmp_path, hash_seed, threads):
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
    script = Path(__file__).with_name("again.py")
    result = python(script, release.spec_file, release.out, tmp_path, cwd=tmp_path, PYTHONHASHSEED=hash_seed, **limits)
    assert result.returncode == 0, result.stderr
    for name in (FILES[release.spec().format], "model.npz"):
        assert (tmp_path / name).read_bytes() == (release.out / name).read_bytes(), name


def test_this_process_makes_the_same_files_whatever_state_its_generators_are_in(release, tmp_path):
    np.random.seed(99)  # noqa: NPY002 - as a caller may
    again(release.spec(), transcript_of(release.out), tmp_path)
    for name in (FILES[release.spec().format], "model.npz"):
        assert (tmp_path / name).read_bytes() == (release.out / name).read_bytes(), name


def test_another_sampling_seed_makes_other_records_of_the_same_model(release, tmp_path):
    again(replace(release.spec(), seed=6), transcript_of(release.out), tmp_path)
    assert (tmp_path / "model.npz").read_bytes() == (release.out / "model.npz").read_bytes()
    name = FILES[release.spec().format]
    assert (tmp_path / name).read_bytes() != (release.out / name).read_bytes()


def test_a_release_is_on_the_track_its_strategy_allows_and_verifies(release):
    assert release.facts()["guarantee"]["track"] == {"mst": "zcdp", "aim": "zcdp"}.get(release.spec().strategy, "gdp")
    assert [e["track"] for e in release.entries() if e["type"] == "PREPARE"] == [release.facts()["guarantee"]["track"]]
    assert release.verify().exit_code == 0


def test_the_ledger_names_the_transcript_that_is_replayed(release):
    assert transcript_of(release.out).digest() == release.entries()[-2]["body"]["transcript"] == release.facts()["transcript"]


def test_another_strategy_stops_at_the_first_question(release):
    other = {"all-pairs": "mst", "mst": "independent", "independent": "all-pairs", "aim": "mst"}[release.spec().strategy]
    with pytest.raises(ProtocolError, match="not the one on record"):
        replayed(replace(release.spec(), strategy=other, estimator="", penalty=None), transcript_of(release.out))


def test_another_budget_stops_at_the_first_question(release):
    spec = replace(release.spec(), epsilon=release.spec().epsilon / 2)
    with pytest.raises(ProtocolError, match="not the one on record"):
        replayed(spec, transcript_of(release.out))


def test_a_missing_or_added_answer_is_noticed(release):
    transcript = transcript_of(release.out)
    with pytest.raises(ProtocolError, match="no more answers"):
        replayed(release.spec(), Transcript(transcript.exchanges[:-1]))
    with pytest.raises(ProtocolError, match="more answers than"):
        replayed(release.spec(), Transcript((*transcript.exchanges, transcript.exchanges[0])))


def test_a_changed_table_changes_the_next_question_of_a_strategy_that_looks_at_it(release):
    transcript = changed(transcript_of(release.out), 0, shifted)
    if release.spec().strategy not in ("aim", "mst"):
        # all-pairs rounds what it asks next to a coarse grid, which a row does not move; the changed answer is what it measures.
        assert replayed(release.spec(), transcript)[0].values[0] == transcript.measurements[0].values[0]
        return
    asked = []
    spec = release.spec()
    replay = Replay(transcript, spec.schema.domain, spec.unit, pipeline.planned(spec)[0].rho)
    real = replay.ask
    replay.ask = lambda question: (asked.append(question), real(question))[1]
    from dpsynth.strategies.registry import strategy_named

    with pytest.raises(ProtocolError, match="not the one on record"):
        strategy_named(spec.strategy).measure(replay)
    assert len(asked) == 2  # the first question does not depend on it, the second does


def test_a_changed_selection_stops_the_replay(release):
    transcript = transcript_of(release.out)
    places = [i for i, exchange in enumerate(transcript.exchanges) if exchange.answer.selected is not None]
    if release.spec().strategy not in ("aim", "mst"):
        assert places == []
        return

    def other(exchange: Exchange) -> Exchange:
        return replace(exchange, answer=Answer(selected=1 if exchange.answer.selected == 0 else 0))

    for place in (places[0], places[-2]):
        with pytest.raises(ProtocolError, match="not the one on record"):
            replayed(release.spec(), changed(transcript, place, other))


def test_answers_in_another_order_stop_the_replay(release):
    transcript = transcript_of(release.out)
    if len(transcript.exchanges) > 1:
        with pytest.raises(ProtocolError, match="not the one on record"):
            replayed(release.spec(), Transcript(transcript.exchanges[::-1]))
