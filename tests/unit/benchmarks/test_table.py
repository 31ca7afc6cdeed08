"""One table for every benchmark: a missed target is seen by people, programs and the shell."""

import json

import pytest

from benchmarks.table import Row, print_table

MET = Row("upload", "1.0 s", "2.0 s", "0.50", "≤ 1.0", True)
MISSED = Row("latency", "3.0 ms", "2.0 ms", "1.50", "≤ 1.03", False, "not resolvable")


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("rows", "code"), [([MET], 0), ([MET, MISSED], 1), ([MISSED], 1), ([], 1)])
def test_the_exit_code_is_0_only_if_there_are_rows_and_all_are_met(rows, code, as_json, capsys):
    assert print_table("title", rows, as_json) == code
    assert capsys.readouterr().out


def test_people_see_one_aligned_line_per_row_with_every_field(capsys):
    print_table("Upload and latency", [MET, MISSED], False)
    title, head, rule, first, second = capsys.readouterr().out.splitlines()
    assert title == "Upload and latency"
    assert head.split() == ["what", "ours", "reference", "ratio", "target", "met", "note"]
    assert set(rule) == {"-", " "}
    assert first.split() == ["upload", "1.0", "s", "2.0", "s", "0.50", "≤", "1.0", "yes"]
    assert second.endswith("NO   not resolvable")
    assert head.index("target") == first.index("≤") == second.index("≤")


def test_programs_get_the_same_as_json(capsys):
    print_table("title", [MET, MISSED], True)
    found = json.loads(capsys.readouterr().out)
    assert found["title"] == "title"
    assert found["met"] is False
    assert found["rows"][1] == {"what": "latency", "ours": "3.0 ms", "reference": "2.0 ms", "ratio": "1.50",
                                "target": "≤ 1.03", "met": False, "note": "not resolvable"}
