# Two commands matter: `make demo` and `make test`. Everything happens in .venv; nothing else is touched.
# PIP_ARGS goes to every pip install: where PyPI's torch is a CUDA build of gigabytes (x86-64 Linux), say
#   make demo PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP_ARGS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
# Started, not only looked up: pyenv puts a python3.9 on the path that fails unless that version is switched on.
PY39 ?= $(shell python3.9 -c '' 2>/dev/null && command -v python3.9 \
	|| ls -d "$$(pyenv root 2>/dev/null)"/versions/3.9.*/bin/python 2>/dev/null | tail -1)
export LAB_HOME ?= $(CURDIR)/results

.PHONY: demo board test test-system test-long test-py39 check install install-dev clean

demo: install            ## compress, measure on this machine and a virtual board, compare
	$(BIN)/lab demo

board: install           ## the results in a browser, on this machine only
	$(BIN)/lab board

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("JouleLab needs Python 3.11 or newer, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml .ci/constraints.txt | $(VENV)/bin/python
	$(PIP) install $(PIP_ARGS) -c .ci/constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml .ci/constraints.txt | $(VENV)/bin/python
	$(PIP) install $(PIP_ARGS) -c .ci/constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.installed

check: install-dev       ## style, types, import contracts, the agent's Python 3.9
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vermin -q --no-tips -t=3.9- --violations agents

test: install-dev test-py39  ## all that needs no other program, and a campaign over SSH where sshd is installed
	$(BIN)/pytest -m "not system and not long and not hardware"

test-system: install-dev ## against a real sshd, Chromium and PostgreSQL, and between network namespaces
	$(BIN)/pytest -m "system and not long"

test-long: install-dev   ## repetition and fuzz, before a release
	$(BIN)/pytest -m long

test-py39:               ## the agent's own tests on the oldest Python it supports
ifneq ($(strip $(PY39)),)
	test -x $(VENV)-py39/bin/pytest || ($(PY39) -m venv $(VENV)-py39 && $(VENV)-py39/bin/pip --disable-pip-version-check -q install $(PIP_ARGS) pytest pytest-timeout hypothesis numpy onnxruntime)
	$(VENV)-py39/bin/pytest tests/unit/agents
else
	@case ",$$JOULELAB_REQUIRE," in *,py39,*) echo "Python 3.9 is required here (JOULELAB_REQUIRE) but was not found" >&2; exit 1;; *) echo "no Python 3.9 found: the agent's tests ran on the lab's Python only";; esac
endif

clean:                   ## forget the environments, keep results
	rm -rf $(VENV) $(VENV)-py39 build *.egg-info
