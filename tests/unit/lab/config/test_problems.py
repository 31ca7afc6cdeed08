"""Pydantic's findings in the words of the file."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from lab.config.problems import config_error, did_you_mean, show
from lab.config.yaml_text import read_document

AS_TEXT = "YAML reads it as text: write 7 without quotes or exponent."


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    width: int = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: str
    rows: Annotated[list[Inner], BeforeValidator(lambda value: value if isinstance(value, list) else [value])] = []


def told(text):
    document = read_document(text, "f.yaml")
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(document.data)
    return str(config_error(caught.value, document, {"": Outer, "rows": Inner}))


@pytest.mark.parametrize(("text", "expected"), [
    ("name: 1\n", "f.yaml:1: name: expected text, got 1. Put it in quotes."),
    ("rows: []\n", "f.yaml:1: name: expected, but the file does not have it."),
    ("name: a\nrows:\n- widht: 1\n", "f.yaml:3: rows[0].widht: unknown key. Did you mean 'width'? Known keys: width."),
    ("name: a\nrows:\n  width: 1.5\n", "f.yaml:3: rows.width: expected a whole number, got 1.5."),
    ("name: a\nrows: {width: '7'}\n", f"f.yaml:2: rows.width: expected a whole number, got '7'. {AS_TEXT}"),
    ("name: a\nrows: [{width: 1}, 3]\n", "f.yaml:2: rows[1]: expected keys with values, got 3."),
])
def test_line_path_expected_and_got(text, expected):
    """One sentence for each, and no word of pydantic's."""
    assert told(text) == expected


def test_a_word_close_to_nothing_gets_no_suggestion():
    """A wrong hint is worse than none."""
    assert did_you_mean("zebra", ["width", "name"]) == ""
    assert did_you_mean("nam", ["width", "name"]) == " Did you mean 'name'?"


def test_long_values_are_cut():
    """An error stays readable whatever is in the file."""
    assert len(show("x" * 1000)) == 78
    assert show(3) == "3"
