"""The agent finds itself again, as a bundle and as a source tree."""

import hashlib
import subprocess
import sys

from agents.children import bundle_sha256, command, entry


def test_in_a_source_tree_children_run_the_package_itself():
    assert entry().name == "__main__.py"
    assert command("worker", "--facts") == [sys.executable, "-E", str(entry()), "worker", "--facts"]


def test_children_may_see_site_packages_but_no_python_environment_variables():
    options = command("block")[1:-2]
    assert "-E" in options
    assert "-S" not in options


def test_the_hash_of_a_source_tree_is_stable():
    assert bundle_sha256() == bundle_sha256()
    assert len(bundle_sha256()) == 64


def test_in_a_bundle_both_name_the_bundle_also_from_another_folder(bundle, tmp_path):
    code = ("import os, sys; sys.path.insert(0, sys.argv[1]); import agents.children as c; "
            "os.chdir('/'); print(c.entry()); print(c.bundle_sha256())")
    done = subprocess.run([sys.executable, "-c", code, bundle.name], cwd=bundle.parent, check=True,
                          stdout=subprocess.PIPE, text=True)
    assert done.stdout.split() == [str(bundle), hashlib.sha256(bundle.read_bytes()).hexdigest()]
