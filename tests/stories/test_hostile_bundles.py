"""A bundle from a stranger: whatever it holds, `sample` and `report` refuse with a message or do harmless work."""

import io
import json
import os
import pickle
import random
import shutil
import zipfile

import numpy as np
import pytest

from dpsynth import canonical
from dpsynth.api import Release
from dpsynth.errors import SpecError
from tests.stories.world import dpsynth

WRONG = [None, [], {}, "x", "", -1, 10**30, True, "9/0", "../../etc/passwd", [[]], {"x": "y"}]


@pytest.fixture
def bundle(released, tmp_path):
    """A copy to do harm to."""
    shutil.copytree(released.out, tmp_path / "out")
    return tmp_path / "out"


def rewrite(folder, facts):
    """Hostile facts under a digest that matches them."""
    facts = {key: value for key, value in facts.items() if key != "digest"} if isinstance(facts, dict) else facts
    if isinstance(facts, dict):
        facts = {**facts, "digest": canonical.digest(facts)}
    (folder / "release.json").write_bytes(canonical.dumps(facts) + b"\n")


def refused(folder, tmp_path):
    """Both commands say no, in one message, and write nothing."""
    out = tmp_path / "drawn.csv"
    before = (folder / "report.html").read_bytes()
    for words in (["sample", folder, "--rows", 5, "--out", out], ["report", folder]):
        result = dpsynth(*words)
        assert (result.exit_code, result.stderr[:7], result.stderr.count("\n")) == (2, "error: ", 1), result.stdout
    assert not out.exists()
    assert (folder / "report.html").read_bytes() == before


# --- release.json ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b'{"digest":1}\n',
        b"\xff\xfe",
        b'{"a":1.5}\n',
        b'{"a":NaN}\n',
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b'{"a":1,"a":2}\n',
        b'{"a":' + b"9" * 10_000 + b"}\n",
    ],
    ids=range(13),
)
def test_a_file_that_is_no_certificate_is_refused(bundle, tmp_path, data):
    (bundle / "release.json").write_bytes(data)
    refused(bundle, tmp_path)
    assert dpsynth("verify", bundle).exit_code == 4


def places(value, path=()):
    """The path of everything in a nested value; of lists, the first item only."""
    yield path
    items = value.items() if isinstance(value, dict) else list(enumerate(value))[:1] if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def with_value(value, path, new):
    if not path:
        return new
    key, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = with_value(value[key], rest, new)
    return copy


def test_wrong_values_anywhere_are_refused_or_harmless(released, bundle):
    facts = released.facts()
    for path in places(facts):
        for wrong in WRONG[::2]:
            rewrite(bundle, with_value(facts, path, wrong))
            try:
                release = Release.open(bundle)
                assert release.schema
                assert release.guarantee
                assert len(release.sample(2)) == 2
            except SpecError:
                pass
    rewrite(bundle, facts)
    assert len(Release.open(bundle).sample(2)) == 2


def test_wrong_values_anywhere_never_break_the_command_line(released, bundle, tmp_path):
    """Sixty of all the places and values, by a fixed seed: each ends with 0 or with 2 and a message (a traceback raises here)."""
    facts = released.facts()
    every = [(path, wrong) for path in places(facts) for wrong in WRONG]
    refusals = 0
    for number, (path, wrong) in enumerate(random.Random(1).sample(every, 60)):
        rewrite(bundle, with_value(facts, path, wrong))
        for words in (["report", bundle], ["sample", bundle, "--rows", 2, "--out", tmp_path / f"{number}.csv", "--where", "sex=F"]):
            result = dpsynth(*words)
            assert result.exit_code in (0, 2), (path, wrong)
            refusals += result.exit_code == 2
    assert refusals > 30


@pytest.mark.parametrize(
    "path",
    [
        ("guarantee", "epsilon"),
        ("guarantee", "alpha"),
        ("schema", 0, "kind"),
        ("schema", 0, "cells"),
        ("schema", 0, "name"),
        ("synthesis", "format"),
        ("exchanges", 0, "tables", 0, "array"),
        ("exchanges", 0, "tables", 0, "columns"),
        ("release",),
        ("unit", "max_rows"),
        ("fit",),
        ("software",),
    ],
    ids=lambda path: ".".join(map(str, path)),
)
def test_what_is_used_must_be_of_its_type(released, bundle, tmp_path, path):
    for wrong in (None, True, {"x": "y"}):
        rewrite(bundle, with_value(released.facts(), path, wrong))
        result = dpsynth("report", bundle)
        assert result.exit_code == 2
        assert result.stderr.startswith("error: ")


@pytest.mark.parametrize("sigma", ["0/1", "9" * 399 + "/1", "-1/1", "1"])
def test_noise_must_be_a_positive_number(released, bundle, sigma):
    rewrite(bundle, with_value(released.facts(), ("exchanges", 0, "tables", 0, "sigma"), sigma))
    result = dpsynth("report", bundle)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")


def test_a_file_name_in_a_certificate_leads_nowhere(released, bundle, tmp_path):
    (tmp_path / "secret.csv").write_text("age\n1\n")
    for name in ("csv/../../secret.csv", "/../../secret.csv", "pickle"):
        rewrite(bundle, with_value(released.facts(), ("synthesis", "format"), name))
        refused(bundle, tmp_path)


def test_markup_in_a_certificate_is_text_in_the_report(released, bundle):
    facts = with_value(released.facts(), ("release", "purpose"), "<script>alert(1)</script>")
    facts = with_value(facts, ("software", "dpsynth"), "<img src=x onerror=alert(1)>")
    rewrite(bundle, with_value(facts, ("unprotected",), ["<iframe src='http://x'>"]))
    assert dpsynth("report", bundle).exit_code == 0
    page = (bundle / "report.html").read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<iframe" not in page
    assert "&lt;script&gt;alert" in page


# --- model.npz and measurements.npz --------------------------------------------------------------------------------------------


class Bomb:
    """Leaves a trace in the environment when it is unpickled."""

    def __reduce__(self):
        return exec, ("import os; os.environ['DPSYNTH_TEST_BOMB'] = 'went off'",)


def object_array():
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([Bomb()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def header_only(shape, kind="<f8", version=b"\x01\x00"):
    """An .npy file that claims a shape and holds 8 bytes."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + bytes(8)


MEMBERS = {
    "objects": object_array(),
    "pickle": pickle.dumps([Bomb()]),
    "text": b"not an array",
    "nothing": b"",
    "huge shape": header_only((1 << 50,)),
    "overflowing shape": header_only((1 << 40, 1 << 40)),
    "negative shape": header_only((-1,)),
    "no shape": header_only("__import__('os').getpid()"),
    "unknown type": header_only((1,), "<q9"),
    "structured type": header_only((1,), "<f8', 'x"),
    "new version": header_only((1,), version=b"\x09\x00"),
    "cut short": header_only((2,)),
}


def with_member(path, name, data):
    """The archive with one member replaced."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in {**members, name: data}.items():
            archive.writestr(member, content)


@pytest.mark.parametrize("kind", MEMBERS)
def test_members_that_are_no_plain_arrays_are_refused(bundle, tmp_path, kind):
    with_member(bundle / "model.npz", "tables.npy", MEMBERS[kind])
    refused(bundle, tmp_path)
    assert "DPSYNTH_TEST_BOMB" not in os.environ


@pytest.mark.parametrize("kind", MEMBERS)
def test_answers_that_are_no_plain_arrays_are_refused(bundle, kind):
    with_member(bundle / "measurements.npz", "table-00000.npy", MEMBERS[kind])
    result = dpsynth("report", bundle)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "DPSYNTH_TEST_BOMB" not in os.environ


@pytest.mark.parametrize("data", [b"", b"PK", b"no archive", b"PK\x05\x06" + bytes(18)], ids=["empty", "cut", "text", "no member"])
@pytest.mark.parametrize("name", ["model.npz", "measurements.npz"])
def test_files_that_are_no_archives_are_refused(bundle, tmp_path, name, data):
    (bundle / name).write_bytes(data)
    assert dpsynth("report", bundle).exit_code == 2
    if name == "model.npz":
        refused(bundle, tmp_path)


@pytest.mark.parametrize("kind", ["flipped", "encrypted", "unknown compression", "missing", "folder"])
def test_damaged_archives_are_refused(bundle, tmp_path, kind):
    path = bundle / "model.npz"
    data = bytearray(path.read_bytes())
    if kind == "flipped":
        data[60:200] = bytes(140)
    central = data.find(b"PK\x01\x02")
    if kind == "encrypted":
        data[6] |= 1
        data[central + 8] |= 1
    if kind == "unknown compression":
        data[8] = data[central + 10] = 77
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes(bytes(data))
    refused(bundle, tmp_path)


def arrays_of(path):
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("tables", lambda a: a * np.nan),
        ("tables", lambda a: -a),
        ("tables", lambda a: a * 2),
        ("tables", lambda a: a[:-1]),
        ("tables", lambda a: a.reshape(1, -1)),
        ("tables", lambda a: a.astype(np.float32)),
        ("tables", lambda a: a.astype(np.complex128)),
        ("total", lambda a: a * np.inf),
        ("total", lambda a: a * np.nan),
        ("total", lambda a: -a - 1),
        ("format", lambda a: np.array("dpsynth-tree-99")),
        ("format", lambda a: np.array(b"dpsynth-tree-1")),
        ("columns", lambda a: a[::-1]),
        ("columns", lambda a: np.array([a[0]] * len(a))),
        ("sizes", lambda a: a * 0),
        ("sizes", lambda a: a + (1 << 62)),
        ("sizes", lambda a: a[::-1]),
        ("parents", lambda a: a * 0),
        ("parents", lambda a: a + 1000),
        ("node_columns", lambda a: a + 1),
        ("node_columns", lambda a: a - 1),
        ("node_lengths", lambda a: -a),
        ("separator_lengths", lambda a: a + 5),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_models_that_are_no_distribution_are_refused(bundle, tmp_path, name, change):
    arrays = arrays_of(bundle / "model.npz")
    arrays[name] = change(arrays[name])
    np.savez(bundle / "model.npz", **arrays)
    refused(bundle, tmp_path)


def test_the_model_of_another_schema_is_refused(bundle, tmp_path):
    from tests.stories.world import COLUMNS, World

    other = World.made(tmp_path / "other", columns={"age": {**COLUMNS["age"], "bins": 5}, "sex": COLUMNS["sex"]})
    assert other.run().exit_code == 0
    shutil.copy(other.out / "model.npz", bundle / "model.npz")
    refused(bundle, tmp_path)


def test_a_changed_certificate_without_its_digest_is_refused(bundle, tmp_path):
    facts = json.loads((bundle / "release.json").read_bytes())
    (bundle / "release.json").write_bytes(canonical.dumps({**facts, "spent": "1/2"}) + b"\n")
    refused(bundle, tmp_path)
