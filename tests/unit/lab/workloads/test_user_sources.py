"""Which files belong to a user's workload: a change in any of them makes it another one."""

from __future__ import annotations

import textwrap

import pytest

from lab.errors import WorkloadError
from lab.workloads.user_file import load_user_file
from lab.workloads.user_sources import source_files


@pytest.fixture
def tree(tmp_path):
    """Writes files by relative path; returns the folder."""
    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return tmp_path

    return write


def found(folder):
    return set(source_files(folder / "mine.py"))


PACKAGE = {
    "mine.py": "from mynet import make\n",
    "mynet/__init__.py": "from .net import make\n",
    "mynet/net.py": "from . import widths\nfrom .parts.layers import layer\n",
    "mynet/widths.py": "",
    "mynet/parts/__init__.py": "",
    "mynet/parts/layers.py": "from ..common import *\nfrom ...above import nothing\n",
    "mynet/common.py": "",
    "mynet/unused.py": "",
    "above.py": "",
}


def test_relative_imports_are_followed_through_packages(tree):
    """One dot, two dots, a star, a module by name; `...above` leaves the package but not the folder."""
    assert found(tree(PACKAGE)) == {"main", *PACKAGE} - {"mine.py", "mynet/unused.py"}


@pytest.mark.parametrize("line", ["from .... import x", "from ..... import mine", "from " + "." * 90 + "x import y"])
def test_nothing_above_the_users_folder_is_read(tree, line):
    """Such an import fails when the file runs; it must not reach strange files, or fail here."""
    folder = tree({"inner/mine.py": "import pack.module\n", "inner/pack/module.py": line + "\n", "x.py": "",
                   "mine.py": "", "__init__.py": ""})
    assert found(folder / "inner") == {"main", "pack/module.py"}


def test_absolute_imports_inside_a_package_start_at_the_folder(tree):
    """As Python does; the lab's own packages and everything installed stay out."""
    folder = tree({"mine.py": "import net.layers\nimport lab.errors, numpy.linalg\n", "net/layers.py": "import deep\n",
                   "net/deep.py": "", "deep.py": "", "lab.py": "", "net/__init__.py": ""})
    assert found(folder) == {"main", "net/__init__.py", "net/layers.py", "deep.py"}


def test_files_that_import_each_other_are_read_once(tree):
    """A cycle ends."""
    assert found(tree({"mine.py": "import a\n", "a.py": "import b\nimport mine\n", "b.py": "import a\n"})) == {
        "main", "a.py", "b.py"}


def test_a_file_that_is_no_python_is_still_hashed(tree):
    """Importing it tells the mistake; looking for its imports must not."""
    assert found(tree({"mine.py": "import bad\n", "bad.py": "def (:\n"})) == {"main", "bad.py"}


def test_a_missing_file_is_told_with_the_contract(tmp_path):
    """Nothing to read."""
    with pytest.raises(WorkloadError, match=r"nothing.py does not exist"):
        source_files(tmp_path / "nothing.py")


def test_editing_a_module_behind_a_relative_import_changes_the_workload(tree):
    """The package imports it as `from .net import Net`, as packages do."""
    files = {
        "mine.py": """
            import numpy as np
            from types import SimpleNamespace
            from mynet import Net

            x, y = np.zeros((4, 2), np.float32), np.arange(4) % 2
            workload = SimpleNamespace(model=Net(), sample_input=x[:1], train=(x, y))
            """,
        "mynet/__init__.py": "from .net import Net\n",
        "mynet/net.py": "from torch.nn import Identity as Net\n",
    }
    folder = tree(files)
    first = load_user_file(folder / "mine.py", "workload").sha256
    assert load_user_file(folder / "mine.py", "workload").sha256 == first
    tree({"mynet/net.py": files["mynet/net.py"] + "# forward is another now\n"})
    assert load_user_file(folder / "mine.py", "workload").sha256 != first
