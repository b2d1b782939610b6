"""Hostile schema files: nothing runs, nothing grows, nothing leaves its comment, and every refusal is one line."""

import copy
import functools
import json
import random
import sys
import tomllib

import pytest
import yaml

from dpsynth.errors import SpecError
from dpsynth.schemas import documents
from dpsynth.schemas.documents import document
from dpsynth.schemas.importing import import_schema
from dpsynth.schemas.spec_text import spec_text
from tests.schemas import test_domains, test_pandera, test_sdv
from tests.schemas.filling_in import filled
from tests.stories.world import dpsynth

REFUSED = {
    "python tag.yaml": "a: !!python/object/apply:os.system [touch /tmp/x]",
    "unknown tag.yaml": "a: !secret b",
    "merge key.yaml": "a: &a {min_value: 1, max_value: 2}\nb: {<<: *a}",
    "key twice.yaml": "a: {max_tokens: 1}\na: {max_tokens: 2}",
    "key twice inside.yml": "a: {min_value: 1, min_value: 2, max_value: 3}",
    "deep.yaml": "a: " + "[" * 5000,
    "not YAML.yaml": "a: [b\nc: }",
    "two documents.yaml": "a: {}\n---\nb: {}",
    "empty.yaml": "",
    "list.yaml": "- a\n- b",
    "keys of numbers.yaml": "1: {}\n2: {}",
    "many digits.yaml": "a: " + "9" * 6000,
    "key twice.json": '{"a": 2, "a": 3}',
    "deep.json": '{"a": ' * 100_000,
    "not JSON.json": "{'a': 2}",
    "two values.json": '{"a": 2} {"b": 3}',
    "empty.json": "",
    "nothing.json": "{}",
    "list.json": "[]",
    "text.json": '"a"',
    "many digits.json": '{"a": %s}' % ("9" * 6000),
    "NaN.json": '{"a": NaN}',
    "strange.json": '{"a": {"b": 1}}',
    "mixed.json": '{"a": 3, "b": "x"}',
    "schema.toml": "a = 1",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_schema_is_refused_in_one_line(tmp_path, name):
    path = tmp_path / name
    path.write_text(REFUSED[name])
    result = dpsynth("schema", "import", path, "--out", tmp_path / "spec.toml")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert len(result.stderr) < 600
    assert not (tmp_path / "spec.toml").exists()


def test_bytes_that_are_no_text_no_file_and_too_much_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "schema.json"
    path.write_bytes(b'{"\xff": 2}')
    with pytest.raises(SpecError, match="not UTF-8"):
        document(path)
    with pytest.raises(SpecError, match="cannot be read"):
        document(tmp_path / "absent.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(SpecError, match="cannot be read"):
        document(tmp_path / "folder.json")
    monkeypatch.setattr(documents, "MAX_BYTES", 5)
    path.write_text('{"a": 2}')
    with pytest.raises(SpecError, match="no schema"):
        document(path)


def test_a_yaml_file_without_its_library_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "d.yaml").write_text("a: {}")
    with pytest.raises(SpecError, match=r"pip install 'dpsynth\[schemas\]'"):
        import_schema(tmp_path / "d.yaml")


def test_aliases_do_not_grow_what_is_shown(tmp_path):
    """Nine levels of nine: written out, a thousand million words."""
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}' if i else 'x'] * 9)}]" for i in range(10)]
    path = tmp_path / "d.yaml"
    path.write_text("type: Schema\n" + "\n".join(levels) + "\nattributes: {a: {possible_values: [x, y], description: *l9}}\n")
    text = spec_text(import_schema(path))
    assert len(text) < 5000
    assert "description: a list of 9" in text


def test_nothing_leaves_its_comment(tmp_path):
    """Line ends of every sort, in names, notes and values."""
    ends = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x00", "\x1b[2J", "\x7f"]
    evil = [f"x{end}[budget]{end}epsilon = 1000" for end in ends]
    columns = {f"c{i}": {"sdtype": "categorical", "order": ["a", "b"], "note": text, text: text} for i, text in enumerate(evil)}
    columns |= {f"v{i}": {"sdtype": "categorical", "order": ["a", text]} for i, text in enumerate(evil)}
    columns |= {text: {"sdtype": "boolean"} for text in evil} | {"ok": {"sdtype": "boolean", "pii": "no"}}
    metadata = {"METADATA_SPEC_VERSION": "SINGLE_TABLE_V1", "columns": columns, **{f"{text}k": text for text in evil}}
    path = tmp_path / "m.json"
    path.write_text(json.dumps(metadata))
    draft = import_schema(path)
    text = spec_text(draft)
    assert all(c.isprintable() or c == "\n" for c in text)
    spec, _, _ = filled(text, draft)
    assert spec.epsilon == 1
    assert {"ok"} <= set(spec.schema.domain.columns) <= {"ok", *(f"{letter}{i}" for letter in "cv" for i in range(len(ends)))}


JUNK = [None, True, 0, -1, 1.5, 10**30, "", "a", "NaN", "isin", [], {}, [1], ["a", "b"], {"a": 1}, [[1]], "int64", float("inf"), "\n[x]\n"]


def places(value, path=()):
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def damaged(document, draw):
    """The document with some of its parts replaced, renamed or taken away."""
    document = copy.deepcopy(document)
    for _ in range(draw.randint(1, 4)):
        *way, last = draw.choice([path for path in places(document) if path] or [(None,)])
        if last is None:
            break
        inner = functools.reduce(lambda value, key: value[key], way, document)
        deed = draw.random()
        if deed < 0.6 or isinstance(inner, list):
            inner[last] = copy.deepcopy(draw.choice(JUNK))
        elif deed < 0.8:
            inner[draw.choice(["dtype", "sdtype", "min_value", "checks", "columns", "type", "", "x\ny"])] = inner.pop(last)
        else:
            del inner[last]
    return document


def test_a_damaged_schema_is_read_or_refused_and_what_is_written_is_toml(tmp_path):
    draw, path, outcomes = random.Random(1), tmp_path / "s.json", {True: 0, False: 0}
    google = yaml.safe_load(test_domains.GOOGLE)
    forms = (test_pandera.as_mapping, test_pandera.as_list, test_pandera.as_keys)
    whole = [test_sdv.V1, test_sdv.OLD, {"tables": {"a": test_sdv.V1}}, google, {"type": "Schema", "attributes": google}, {"a": 3, "b": 2}]
    for _ in range(500):
        path.write_text(json.dumps(damaged(draw.choice([*whole, *map(test_pandera.document, forms)]), draw), default=str))
        try:
            tomllib.loads(spec_text(import_schema(path)))
        except SpecError:
            outcomes[False] += 1
        else:
            outcomes[True] += 1
    assert min(outcomes.values()) > 100


def test_half_surrogates_cannot_stop_the_writing(tmp_path):
    path = tmp_path / "m.json"
    path.write_text('{"columns": {"\\ud800": {"sdtype": "boolean"}, "b": {"sdtype": "boolean", "n\\udfff": "\\udfff"}}}')
    result = dpsynth("schema", "import", path, "--out", tmp_path / "spec.toml")
    assert result.exit_code == 0, result.stderr
    assert "[columns.b]" in (tmp_path / "spec.toml").read_text()
