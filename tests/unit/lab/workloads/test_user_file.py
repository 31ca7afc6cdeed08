"""A user's own workload: what is accepted, and what each mistake is told."""

from __future__ import annotations

import sys
import textwrap

import numpy as np
import pytest
import torch

from lab.errors import WorkloadError
from lab.workloads.contract import CONTRACT
from lab.workloads.user_file import load_user_file
from lab.workloads.user_sources import source_files

GOOD = """
import numpy as np
import torch
from types import SimpleNamespace

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
x = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
y = np.arange(400) % 3
parts = dict(model=model, sample_input=x[:1], train=(x[:350], y[:350]), evaluation=(x[350:], y[350:]))
"""


@pytest.fixture
def write(tmp_path):
    def write_file(extra="", name="mine.py", start=GOOD):
        path = tmp_path / name
        path.write_text(textwrap.dedent(start) + textwrap.dedent(extra))
        return path

    return write_file


def load(write, changes="", name="workload"):
    return load_user_file(write(f"parts.update({changes})\nworkload = SimpleNamespace(**parts)\n"), name)


def refused(write, changes):
    with pytest.raises(WorkloadError) as caught:
        load(write, changes)
    text = str(caught.value)
    assert CONTRACT in text
    return text.removesuffix(CONTRACT).strip()


def test_a_good_workload_has_everything(write):
    """Arrays, default calibration, default metric, and a model in eval mode."""
    workload = load(write)
    assert workload.name == "mine:workload"
    assert workload.metric_name == "top-1 accuracy"
    assert workload.data.train_inputs.shape == (350, 4)
    assert np.array_equal(workload.data.calibration_inputs, workload.data.train_inputs[:320])
    assert workload.evaluation_targets.dtype == np.int64
    assert workload.onnx_path is None
    assert workload.notes == ()


def test_torch_model_copies(write):
    """A changed copy leaves the next one and the user's own alone; training mode is off in all."""
    workload = load(write, "model=model.train()")
    first = workload.torch_model()
    with torch.no_grad():
        first[0].weight.zero_()
    assert not first.training
    assert torch.count_nonzero(workload.torch_model()[0].weight) > 0


def test_torch_tensors_and_wider_types_are_converted(write):
    """float64, bfloat16 and small integers are read, as float32 and int64."""
    workload = load(write, "sample_input=torch.tensor(x[:1]), train=(torch.tensor(x).double(), torch.tensor(y).int()), "
                           "calibration=torch.tensor(x[:9]).bfloat16(), evaluation=(x.astype('f8'), y.astype('u1'))")
    data = workload.data
    assert {data.train_inputs.dtype, data.calibration_inputs.dtype, workload.sample_input.dtype,
            workload.evaluation_inputs.dtype} == {np.dtype(np.float32)}
    assert {data.train_targets.dtype, workload.evaluation_targets.dtype} == {np.dtype(np.int64)}
    assert data.calibration_inputs.shape == (9, 4)


@pytest.mark.parametrize("definition", [
    "workload = SimpleNamespace(**parts)",
    "def workload():\n    return SimpleNamespace(**parts)",
    "class workload:\n    def __init__(self):\n        self.__dict__.update(parts)",
    "class workload:\n    model, sample_input, train = model, x[:1], (x, y)",
])
def test_object_function_and_class_are_all_accepted(write, definition):
    """Whatever gives an object with the attributes."""
    workload = load_user_file(write(definition + "\n"), "workload")
    assert workload.sample_input.shape == (1, 4)


def test_own_metric_gets_numpy_arrays(write):
    """Regression targets and a score of the user's own."""
    workload = load(write, "train=(x, x), evaluation=(x, x), metric_name='closeness', "
                           "metric=lambda outputs, targets: 1 - abs(outputs - targets).mean()")
    assert workload.metric_name == "closeness"
    assert workload.score(np.ones((2, 4)), np.full((2, 4), 0.5)) == 0.5


@pytest.mark.parametrize(("answer", "expected"), [
    ("float('nan')", "metric: expected a finite number"), ("2.0", "got 2.0"), ("'high'", "could not convert string"),
    ("targets[99]", "IndexError"),
])
def test_metric_that_gives_nonsense_is_told_when_it_is_used(write, answer, expected):
    """A score is a finite number of at most 1."""
    workload = load(write, f"metric=lambda outputs, targets: {answer}")
    with pytest.raises(WorkloadError, match=expected):
        workload.score(np.zeros((2, 3)), np.zeros(2, np.int64))


@pytest.mark.parametrize(("changes", "expected"), [
    ("model=None", "model: expected a torch.nn.Module, got None"),
    ("model=SimpleNamespace()", "model: expected a torch.nn.Module, got an object of type SimpleNamespace"),
    ("model=model.to('meta')", "model: expected weights on the CPU (call model.cpu()), got weights on meta"),
    ("sample_input=x[0]", "sample_input: expected shape (1, ...), one input with its batch dimension, got shape (4,)"),
    ("sample_input=x[:2]", "sample_input: expected shape (1, ...)"),
    ("sample_input=[1.0]", "sample_input: expected a torch tensor or a numpy array, got a list of 1"),
    ("sample_input=np.array([['a']])", "sample_input: expected numbers (float or integer), got an array of <U1"),
    ("sample_input=x[:0]", "sample_input: expected at least one value, got an empty array of shape (0, 4)"),
    ("train=x", "train: expected a pair (x, y), got an object of type ndarray"),
    ("train=(x, y, y)", "train: expected a pair (x, y), got a tuple of 3"),
    ("train=(x, y[:9])", "train[1]: expected one target for each of the 400 inputs, got shape (9,)"),
    ("train=(x[:, :3], y)", "train[0]: expected shape (n, 4), as in sample_input, got shape (400, 3)"),
    ("train=(y[:, None].repeat(4, 1), y)", "train[0]: expected float32, as in sample_input, got int64"),
    ("train=(x * np.nan, y)", "train[0]: expected finite numbers, got NaN or infinity"),
    ("calibration=x[:, 0]", "calibration: expected shape (n, 4)"),
    ("evaluation=(x, None)", "evaluation[1]: expected a torch tensor or a numpy array, got None"),
    ("evaluation=(x, y + 0.5)", "evaluation[1]: expected integer targets of shape (n,)"),
    ("evaluation=(x, y + 1)", "expected targets in 0 to 2, as the model has 3 outputs, got targets from 1 to 3"),
    ("model=torch.nn.Sequential(model, torch.nn.Unflatten(1, (3, 1)))", "model: expected outputs (n, classes)"),
    ("model=torch.nn.LSTM(4, 3)", "model: expected one tensor from model(sample_input), got a tuple"),
    ("model=torch.nn.Flatten(0)", "model: expected an output of shape (1, ...) for sample_input, got shape (4,)"),
    ("metric='accuracy'", "metric: expected a function metric(outputs, targets) -> float, got an object of type str"),
    ("metric_name=7", "metric_name: expected text, got an object of type int"),
])
def test_each_broken_clause_names_field_expectation_and_finding(write, changes, expected):
    """Every error also shows the contract."""
    assert expected in refused(write, changes)


def test_outputs_that_are_not_finite_are_refused(write):
    """A broken baseline cannot be compared with."""
    assert "finite outputs for sample_input" in refused(
        write, "model=torch.nn.Sequential(model, torch.nn.Threshold(1e9, float('nan')))")


@pytest.mark.parametrize(("wrong", "right"), [("calibrations", "calibration"), ("evaluatoin", "evaluation"),
                                              ("sampleinput", "sample_input")])
def test_a_misspelt_attribute_is_not_taken_for_an_absent_one(write, wrong, right):
    """An optional attribute with a typo would silently change the result."""
    text = refused(write, f"{wrong}=parts.pop('{right}', x)")
    assert f"did you write '{wrong}' for '{right}'?" in text


def test_a_missing_attribute_is_named(write):
    """Without training data there is no workload."""
    path = write("del parts['train']\nworkload = SimpleNamespace(**parts)\n")
    with pytest.raises(WorkloadError, match="train: expected an attribute of that name"):
        load_user_file(path, "workload")


def test_a_model_that_fails_on_the_sample_shows_the_users_line(write):
    """The traceback begins in the user's file."""
    path = write("""
        class Broken(torch.nn.Module):
            def forward(self, x):
                return x @ torch.zeros(5, 5)  # wrong size

        workload = SimpleNamespace(**{**parts, "model": Broken()})
    """)
    with pytest.raises(WorkloadError) as caught:
        load_user_file(path, "workload")
    text = str(caught.value)
    assert "model(sample_input) failed for input float32 (1, 4)" in text
    assert f'File "{path}", line' in text
    assert "# wrong size" in text
    assert "user_file.py" not in text


@pytest.mark.parametrize(("source", "expected"), [
    ("def broken(:\n", "SyntaxError"), ("import no_such_module_here\n", "No module named 'no_such_module_here'"),
    ("raise RuntimeError('no disk')\n", "RuntimeError: no disk"), ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
    ("def f():\n    f()\nf()\n", "RecursionError"),
])
def test_a_file_that_fails_on_import_is_told_with_its_last_lines(write, source, expected):
    """Even `sys.exit` in the file does not end the lab."""
    path = write(source, start="")
    with pytest.raises(WorkloadError, match="failed while it was imported") as caught:
        load_user_file(path, "workload")
    assert expected in str(caught.value)
    assert len(str(caught.value).splitlines()) < 25


def test_ctrl_c_in_a_users_file_is_not_swallowed(write):
    """The person at the keyboard comes first."""
    with pytest.raises(KeyboardInterrupt):
        load_user_file(write("raise KeyboardInterrupt\n"), "workload")


def test_a_wrong_name_suggests_the_closest_and_lists_the_files_own(write):
    """Imported names are not offered."""
    path = write("my_workload = SimpleNamespace(**parts)\n")
    with pytest.raises(WorkloadError) as caught:
        load_user_file(path, "my_worklaod")
    assert "Did you mean 'my_workload'? It defines: model, my_workload, parts, x, y." in str(caught.value)


def test_naming_the_model_itself_says_what_is_wanted(write):
    """A common first guess."""
    with pytest.raises(WorkloadError, match="expected an object that has the model as attribute `model`"):
        load_user_file(write(), "model")


def test_a_function_with_arguments_or_an_error_is_told(write):
    """The callable must work without arguments."""
    path = write("def workload(path):\n    return None\ndef other():\n    return 1 / 0\n")
    with pytest.raises(WorkloadError, match="missing 1 required positional argument"):
        load_user_file(path, "workload")
    with pytest.raises(WorkloadError, match="ZeroDivisionError"):
        load_user_file(path, "other")


def test_no_such_file(tmp_path):
    """The path is in the text."""
    with pytest.raises(WorkloadError, match=r"nothing.py does not exist"):
        load_user_file(tmp_path / "nothing.py", "workload")


def test_what_the_file_prints_goes_to_stderr(write, capsys):
    """Output that a program reads stays clean."""
    load_user_file(write("print('training')\nworkload = SimpleNamespace(**parts)\n"), "workload")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "training" in captured.err


def test_hash_follows_source_weights_and_data(write):
    """The same file gives the same hash; each kind of change gives another."""
    first = load(write).sha256
    assert load(write).sha256 == first
    others = [load(write, changes).sha256 for changes in (
        "train=(x[:349], y[:349])", "calibration=x[:10]", "sample_input=x[1:2]")]
    commented = load_user_file(write("workload = SimpleNamespace(**parts)  # same\n"), "workload").sha256
    assert len({first, commented, *others}) == 5


def test_hash_follows_weights_that_come_from_a_file(write, tmp_path):
    """The source may stay while the weights change."""
    extra = f"""
        model.load_state_dict(torch.load(r"{tmp_path / 'w.pt'}", weights_only=True))
        workload = SimpleNamespace(**parts)
    """
    hashes = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
        torch.save(model.state_dict(), tmp_path / "w.pt")
        hashes.add(load_user_file(write(extra), "workload").sha256)
    assert len(hashes) == 2


def test_files_beside_the_workload_belong_to_it(write, tmp_path):
    """What the file imports from its own folder is hashed too, and read anew at every load."""
    (tmp_path / "lab.py").write_text("")
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "__init__.py").write_text("")
    (tmp_path / "net" / "layers.py").write_text("import deeper\nscale = 1\n")
    (tmp_path / "deeper.py").write_text("")
    (tmp_path / "stranger.py").write_text("")
    path = write("import lab.errors\nfrom net import layers\nparts['train'] = (x * layers.scale, y)\n"
                 "workload = SimpleNamespace(**parts)\n")
    assert set(source_files(path)) == {"main", "net/__init__.py", "net/layers.py", "deeper.py"}
    first = load_user_file(path, "workload")
    (tmp_path / "net" / "layers.py").write_text("import deeper\nscale = 22\n")
    second = load_user_file(path, "workload")
    assert first.sha256 != second.sha256
    assert second.data.train_inputs.max() > 2 * first.data.train_inputs.max()
    assert not {"net", "net.layers", "deeper"} & set(sys.modules)
    assert str(tmp_path) not in sys.path


def test_evaluating_on_the_training_data_is_noted(write):
    """Nobody should read that accuracy as a promise."""
    assert "training data" in load(write, "evaluation=(x[:350], y[:350])").notes[0]
    assert "calibration data" in load(write, "evaluation=(x[:320], y[:320])").notes[0]
    assert "calibration data" in load(write, "calibration=x[350:]").notes[0]
    assert "accuracy is not known" in load(write, "evaluation=None").notes[0]
