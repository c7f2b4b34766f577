# Every target sets up what it needs from nothing and reuses what is there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := cpu,crf,process,dev

.PHONY: env demo test test-slow lint cuda clean

env: $(VENV)/.built

$(VENV)/.torch: constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt torch "scikit-build-core>=0.10" "cmake>=3.24" ninja
	touch $@

# torch goes first and alone: no other package may choose its version.
$(VENV)/.built: $(VENV)/.torch pyproject.toml CMakeLists.txt $(shell find cuda_ext configs -type f)
	$(BIN)/pip install -q -c constraints.txt --no-build-isolation -e ".[$(EXTRAS)]"
	touch $@

demo: env
	$(BIN)/saff-fast demo --out runs/demo

test: env
	$(BIN)/python -m pytest -m "not slow"

test-slow: env
	$(BIN)/python -m pytest -m slow

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $$(find cuda_ext -type f)
	$(BIN)/mypy saff_fast

# Compiles the CUDA sources where nvcc is, GPU or not.
cuda:
	cmake -S . -B build/cuda -DSAFF_CUDA=ON -DCMAKE_BUILD_TYPE=Release
	cmake --build build/cuda --parallel

clean:
	rm -rf build $(VENV) runs
