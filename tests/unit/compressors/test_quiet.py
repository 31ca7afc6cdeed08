import logging
import sys
import threading
import warnings

import pytest

from compressors.quiet import quiet_libraries


def test_output_warnings_and_log_lines_are_dropped(capsys, caplog):
    with quiet_libraries():
        sys.stdout.write("noise")
        sys.stderr.write("noise")
        warnings.warn("noise", UserWarning, stacklevel=1)
        logging.getLogger("torch.onnx._internal.exporter._registration").warning("noise")
    assert capsys.readouterr() == ("", "")
    assert caplog.records == []


def test_other_threads_and_other_loggers_are_still_heard(capsys, caplog):
    with quiet_libraries():
        thread = threading.Thread(target=lambda: sys.stdout.write("progress"))
        thread.start()
        thread.join()
        logging.getLogger("lab").warning("heard")
    assert capsys.readouterr().out == "progress"
    assert [record.message for record in caplog.records] == ["heard"]


def test_the_streams_keep_their_nature():
    with quiet_libraries():
        assert sys.stdout.isatty() is False
        assert sys.stderr.writable() is not None
        sys.stdout.flush()


def test_everything_is_as_before_afterwards_even_after_an_error(capsys, caplog):
    with pytest.raises(RuntimeError, match="kept"), quiet_libraries():
        raise RuntimeError("kept")
    sys.stdout.write("heard")
    logging.getLogger("onnxscript").warning("heard")
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", UserWarning, stacklevel=1)
    assert capsys.readouterr().out == "heard"
    assert [record.message for record in caplog.records] == ["heard"]
