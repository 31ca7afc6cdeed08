"""The upload benchmark's arithmetic; its timings are nobody's test."""

from benchmarks.upload import Times, rows_of


def times(**changes):
    fine = {"handshake_s": [0.2, 0.2, 0.9], "default_s": [1.2, 2.2, 1.2], "same_cipher_s": [0.7, 0.7, 0.7],
            "ours_s": [0.5, 1.0, 0.5], "again_bytes": [0, 0, 0]}
    return Times(**{**fine, **changes})


def test_ratios_are_paired_by_round_and_the_handshake_is_taken_off():
    default, same, again = rows_of("aes128-gcm@openssh.com", times())
    assert (default.ours, default.reference, default.ratio, default.met) == ("0.500 s", "1.000 s", "0.50", True)
    assert (same.reference, same.ratio, same.met) == ("0.500 s", "1.00", True)
    assert "handshake of 0.20 s taken off" in default.note
    assert (again.ours, again.met) == ("0 bytes", True)


def test_a_target_that_is_missed_is_said():
    default, same, again = rows_of("aes128-ctr", times(ours_s=[0.9, 0.9, 0.9], again_bytes=[0, 5, 0]))
    assert (default.ratio, default.met) == ("0.90", False)
    assert (same.ratio, same.met) == ("1.80", False)
    assert (again.ours, again.met) == ("5 bytes", False)


def test_a_handshake_longer_than_the_whole_gives_no_ratio():
    default, *_ = rows_of("aes128-ctr", times(default_s=[0.1, 1.2, 1.2]))
    assert (default.ratio, default.met) == ("unknown", False)
    assert default.note.startswith("handshake varies too much")
