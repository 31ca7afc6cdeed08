"""The table of what really happened: whole rows, bounded size, readable after a crash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.virtual.physics import BoardState
from lab.virtual.truth import HEADER, Truth, TruthLog, last_truth, read_truth


def row(number, energy_j=1.5):
    state = BoardState(elapsed_ns=number * 10, cpu_ns=number, temperature_c=41.0 + number / 3, clock_hz=1_500_000_000)
    return Truth(number * 1000, state, energy_j)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "truth.csv"


def write(path, *rows, **options):
    log = TruthLog(path, **options)
    for each in rows:
        log.append(each)
    log.close()


def test_rows_come_back_exactly(path):
    rows = (row(1), row(2, 1 / 3), row(3, 1e-9))
    write(path, *rows)
    assert read_truth(path) == rows
    assert last_truth(path) == rows[-1]
    assert path.read_text().startswith(HEADER)


@given(energy_j=st.floats(allow_nan=False, allow_infinity=False), t_ns=st.integers(min_value=0, max_value=2**63))
def test_any_number_comes_back_to_the_last_bit(tmp_path_factory, energy_j, t_ns):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.unlink(missing_ok=True)
    written = row(1)._replace(t_ns=t_ns, energy_j=energy_j)
    write(path, written)
    assert last_truth(path) == written


def test_a_second_log_goes_on_in_the_same_file(path):
    write(path, row(1))
    write(path, row(2))
    assert read_truth(path) == (row(1), row(2))
    assert path.read_text().count(HEADER) == 1


def test_half_a_row_after_a_crash_spoils_nothing(path):
    write(path, row(1), row(2))
    path.write_text(path.read_text()[:-5])
    assert last_truth(path) == row(1)
    write(path, row(3))
    assert read_truth(path) == (row(1), row(3))


def test_a_full_file_is_put_aside_once(path):
    write(path, *[row(number) for number in range(1, 41)], max_bytes=400)
    aside = path.with_name("truth.csv.1")
    assert path.stat().st_size <= 500
    assert aside.stat().st_size <= 500
    assert last_truth(path) == row(40)
    together = read_truth(aside) + read_truth(path)
    numbers = [each.state.cpu_ns for each in together]
    assert sorted(set(numbers)) == list(range(min(numbers), 41))


def test_a_new_file_begins_with_where_the_old_one_ended(path):
    write(path, *[row(number) for number in range(1, 13)], max_bytes=500)
    aside = path.with_name("truth.csv.1")
    assert read_truth(path)[0] == read_truth(aside)[-1]


@pytest.mark.parametrize("text", ["", HEADER, "garbage\n", "1,2,3\n", "a,b,c,d,e,f\n", "1,2,3,4.0,5.0,6"])
def test_no_whole_row_is_none(path, text):
    path.write_text(text)
    assert last_truth(path) is None
    assert read_truth(path) == ()


def test_no_file_is_none(path):
    assert last_truth(path) is None
    assert read_truth(path) == ()


def test_the_last_row_of_a_long_file_is_found_without_reading_it_all(path):
    write(path, *[row(number) for number in range(1, 200)])
    assert last_truth(path) == row(199)
