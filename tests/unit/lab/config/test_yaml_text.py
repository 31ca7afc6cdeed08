"""YAML is read as plain data with line numbers, and never more than that."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lab.config.yaml_text import path_text, read_document
from lab.errors import ConfigError

TEXT = """\
# a comment
name: x
steps:
  - first
  - second: {a: 1,
             b: 2}
"""

LEAVES = st.none() | st.booleans() | st.integers(-10**6, 10**6) | st.floats(allow_nan=False) | st.text(max_size=8)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3)
                     | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=12)


def test_every_key_and_entry_has_its_line():
    """Editors count from one."""
    document = read_document(TEXT, "f.yaml")
    assert document.data == {"name": "x", "steps": ["first", {"second": {"a": 1, "b": 2}}]}
    assert document.lines[("name",)] == 2
    assert document.lines[("steps", 1)] == 5
    assert document.lines[("steps", 1, "second", "b")] == 6


def test_problems_name_the_closest_line_above():
    """A key that is missing has no line of its own."""
    document = read_document(TEXT, "f.yaml")
    assert str(document.problem(("steps", 1, "third", "c"), "text")) == "f.yaml:5: steps[1].third.c: text"
    assert str(document.problem((), "text")) == "f.yaml:2: text"
    assert read_document("", "f.yaml").where(("a",)) == "f.yaml"


def test_path_text_reads_like_code():
    """As in the documentation."""
    assert path_text(("techniques", "int8", 0, "quantize_static")) == "techniques.int8[0].quantize_static"


@given(TREES)
def test_plain_data_survives(tree):
    """Whatever safe_dump writes comes back as safe_load would read it."""
    text = yaml.safe_dump(tree)
    assert read_document(text, "f").data == yaml.safe_load(text)


@given(st.text(max_size=60))
def test_any_text_is_data_or_a_config_error(text):
    """No parser error reaches the user bare."""
    try:
        read_document(text, "f.yaml")
    except ConfigError as error:
        assert str(error).startswith("f.yaml")  # noqa: PT017


@pytest.mark.parametrize(("text", "expected"), [
    ("a: 1\nb: 2\na: 3\n", "f.yaml:3: a: the key is there twice (first on line 1)"),
    ("a:\n  b: 1\n  b: 1\n", "f.yaml:3: a.b: the key is there twice"),
    ("a: [1\nb: 2\n", "f.yaml:2: not valid YAML"),
    ("a: &x 1\nb: *x\n", "f.yaml:2: aliases (*x) are not used here"),
    ("a: {<<: {b: 1}}\n", "f.yaml:1: key '<<'"),
    ("1: x\n", "f.yaml:1: key '1': expected text, but YAML reads it as int"),
    ("on: x\n", "f.yaml:1: key 'on': expected text, but YAML reads it as bool"),
    ("[a]: x\n", "expected text, but YAML reads it as seq"),
    ("a: 2024-13-45\n", "cannot be read as a date or number"),
    ("a: 1\n---\nb: 2\n", "not valid YAML"),
    ("a: !!python/object/apply:os.system [echo]\n", "not valid YAML: could not determine a constructor"),
    ("a: \x07\n", "f.yaml: not valid YAML"),
    ("[" * 40, "nested deeper than 32 levels"),
    ("{a: " * 40, "nested deeper than 32 levels"),
    ("x" * 1_000_001, "expected at most 1000000 characters, got 1000001"),
])
def test_what_is_refused(text, expected):
    """Duplicates, aliases, objects, odd keys, and what could grow without bound."""
    with pytest.raises(ConfigError) as caught:
        read_document(text, "f.yaml")
    assert expected in str(caught.value)
