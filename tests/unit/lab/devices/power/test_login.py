"""Digest as RFC 7616 computes it, Basic as RFC 7617."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.devices.power.login import Login, authorization, digest_answer

MUFASA = Login("Mufasa", "Circle of Life")
CHALLENGE = ('realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
             'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
             'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"')
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(("algorithm", "response"), [
    ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
    ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
])
def test_the_example_of_the_standard(algorithm, response):
    """RFC 7616, section 3.9.1."""
    header = digest_answer(CHALLENGE.format(algorithm=algorithm), MUFASA, method="GET", target="/dir/index.html",
                           client_nonce=CNONCE)
    assert header.startswith("Digest ")
    assert f'response="{response}"' in header
    assert f"algorithm={algorithm}, qop=auth, nc=00000001" in header
    assert 'opaque="FQhe/' in header


def test_the_example_of_the_older_standard():
    """RFC 2069 without qop; the response as its erratum corrects it."""
    header = digest_answer('realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"',
                           Login("Mufasa", "CircleOfLife"), method="GET", target="/dir/index.html")
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in header
    assert "cnonce" not in header


def test_every_answer_has_its_own_nonce():
    """Unless it is given."""
    answers = {digest_answer(CHALLENGE.format(algorithm="SHA-256"), MUFASA, method="GET", target="/")
               for _ in range(5)}
    assert len(answers) == 5


def test_basic():
    """RFC 7617, section 2."""
    assert authorization('Basic realm="WallyWorld"', "http://x/", Login("Aladdin", "open sesame")) == (
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")


@pytest.mark.parametrize(("url", "target"), [
    ("http://plug", "/"), ("http://plug/", "/"),
    ("http://plug/rpc/Switch.Set?id=0&on=true", "/rpc/Switch.Set?id=0&on=true"),
])
def test_the_target_is_path_and_query(url, target):
    """As the request line has it."""
    assert f'uri="{target}"' in authorization('Digest realm="r", nonce="n", qop="auth"', url, MUFASA)


@pytest.mark.parametrize("challenge", [
    "Negotiate", "", 'Digest realm="r", algorithm=SHA-512-256', 'Digest realm="r", qop="auth-int"',
    'Digest realm="r\x01", nonce="n"',
])
def test_what_is_not_spoken_is_said(challenge):
    """Expected and got."""
    with pytest.raises(ValueError, match=", got "):
        authorization(challenge, "http://plug/", MUFASA)


@given(st.text(), st.text())
def test_no_challenge_breaks_out_of_the_header(fields, user):
    """One printable line, or an error; the password is not in it."""
    try:
        header = authorization("Digest " + fields, "http://plug/", Login(user, "hunter2hunter2"))
    except ValueError:
        header = ""
    assert header == "" or header.isprintable()
    assert "hunter2hunter2" not in header


def test_a_login_does_not_show_its_password():
    """Errors and logs print objects."""
    assert repr(Login("admin", "hunter2")) == "Login('admin', …)"
