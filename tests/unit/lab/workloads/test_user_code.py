"""The border to code that users wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import CompressionError, WorkloadError
from lab.workloads.user_code import FRAMES_SHOWN, UserCode, traceback_tail


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(2), AssertionError(), MemoryError()])
def test_failures_become_workload_errors_with_their_cause(error):
    """Even an exit; the original stays attached."""
    with pytest.raises(WorkloadError, match="reading it failed") as caught, UserCode("reading it failed"):
        raise error
    assert caught.value.__cause__ is error
    assert type(error).__name__ in str(caught.value)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit(), CompressionError("ours")])
def test_other_exceptions_pass(error):
    """Ctrl-C is the person's, and the lab's own errors already say what they mean."""
    with pytest.raises(type(error)) as caught, UserCode("reading it failed"):
        raise error
    assert caught.value is error


def test_success_changes_nothing_but_where_print_goes(capsys):
    """stdout is restored afterwards."""
    with UserCode("reading it failed"):
        print("inside")  # noqa: T201
    print("after")  # noqa: T201
    assert capsys.readouterr() == ("after\n", "inside\n")


def test_the_tail_is_short_and_starts_in_the_users_file():
    """Frames of the lab above the user's own are left out."""
    def deep(level):
        if level:
            return deep(level - 1)
        return 1 / 0

    with pytest.raises(ZeroDivisionError) as caught:
        deep(50)
    tail = traceback_tail(caught.value, Path(__file__))
    assert tail.count(f'File "{__file__}"') <= FRAMES_SHOWN
    assert tail.endswith("ZeroDivisionError: division by zero")
    assert all(line.startswith("    ") for line in tail.splitlines())
    assert traceback_tail(caught.value, Path("/other.py")).strip() == "ZeroDivisionError: division by zero"
