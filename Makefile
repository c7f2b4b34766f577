# Every target sets up what it needs from nothing and reuses what is there, a virtual environment made by hand too.
PYTHON ?= python3
EXTRAS ?= cpu,crf,process,ray,video,viewer,log,dev
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check

.PHONY: env demo test test-slow browser lint cuda clean

env: $(VENV)/.built

# torch goes first and alone, and what is there stays: no other package may choose its version.
$(VENV)/.torch: constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --version >/dev/null || $(BIN)/python -m ensurepip
	$(BIN)/python -c "import torch" 2>/dev/null || $(PIP) -c constraints.txt torch
	{ grep -v '^torch' constraints.txt; $(BIN)/python -m pip freeze | grep -E '^torch(vision)?=='; } > $(VENV)/constraints.txt
	touch $@

# Dependencies come before the package, so that building it again asks no registry.
$(VENV)/.dependencies: $(VENV)/.torch pyproject.toml
	$(BIN)/python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb')); e = p['project']['optional-dependencies']; \
	print(*p['build-system']['requires'], *p['project']['dependencies'], *(r for x in '$(EXTRAS)'.split(',') for r in e[x]), sep='\n')" > $(VENV)/requirements.txt
	$(PIP) -c $(VENV)/constraints.txt cmake ninja -r $(VENV)/requirements.txt
	touch $@

$(VENV)/.built: $(VENV)/.dependencies CMakeLists.txt $(shell find cuda_ext -type f)
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

demo: env
	$(BIN)/saff-fast demo --out runs/demo

# Two workers of one thread each: faster than one of two, since most of the time of tests is no tensor's. A file's tests
# stay together, as they share what they set up.
PYTEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2 --dist loadfile

test: env
	$(PYTEST) -m "not slow"

# The tests of the viewer drive a browser; without one, and without the right to install it, they are skipped.
APT := apt-get install -qq -y --no-install-recommends chromium
browser:
	@if ! command -v chromium && [ "$$(id -u)" = 0 ] && command -v apt-get; then $(APT) || { apt-get update -qq && $(APT); } || true; fi >/dev/null 2>&1

test-slow: env browser
	$(PYTEST) -m slow

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	find cuda_ext -type f | xargs $(BIN)/clang-format --dry-run --Werror
	$(BIN)/mypy

# Compiles the CUDA sources for every listed architecture and PTX; needs nvcc, not a GPU.
cuda: env
	$(BIN)/cmake -S . -B build/cuda -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja -DSAFF_CUDA=ON -DCMAKE_BUILD_TYPE=Release
	$(BIN)/cmake --build build/cuda --target saff_cuda

clean:
	rm -rf build $(VENV) runs
