"""A refusal by the system becomes a code the controller can act on."""

import errno

import pytest

from agents.errors import Refused, refused_by_system


@pytest.mark.parametrize(("number", "code"), [
    (errno.ENOSPC, "no_space"), (errno.EDQUOT, "no_space"), (errno.EROFS, "read_only"), (errno.EACCES, "read_only"),
    (errno.EPERM, "read_only"), (errno.EIO, "os_error"), (errno.ENOENT, "os_error"),
])
def test_each_errno_has_its_code_and_the_path_is_named(number, code):
    refusal = refused_by_system(OSError(number, "because", "/somewhere"))
    assert refusal.code == code
    assert "because" in str(refusal)
    assert "/somewhere" in str(refusal)


def test_the_header_of_an_err_holds_code_text_retryable_and_what_was_added():
    refusal = Refused("held", "taken", retryable=True, owner="ann")
    assert refusal.header() == {"code": "held", "message": "taken", "retryable": True, "owner": "ann"}


def test_a_long_text_is_cut_so_that_it_fits_a_header():
    assert len(Refused("x", "y" * 100_000).header()["message"]) == 2000
