#!/usr/bin/env bash
# The tests of the ops with another torch than the pinned one: `bash tests/older_torch.sh 2.6.0`.
# The environment is made in build/torch-VERSION from nothing and used again; on Linux PyPI's torch brings CUDA, 5 GB.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?which version of torch}
environment=build/torch-$version
python=$environment/bin/python
pip="$python -m pip install -q --disable-pip-version-check"

[ -x "$python" ] || "${PYTHON:-python3}" -m venv "$environment"
$python -c "import torch, sys; sys.exit(torch.__version__.split('+')[0] != '$version')" 2>/dev/null || $pip "torch==$version"
grep -E '^(cmake|hypothesis|jaxtyping|ninja|numpy|pytest|pytest-timeout|scikit_build_core)==' constraints.txt \
  >"$environment/requirements.txt"
$pip -r "$environment/requirements.txt"
# With the build tools that are there: an isolated build would ask the registry for them.
$pip --no-deps --no-build-isolation -C cmake.define.SAFF_CUDA=OFF -C build-dir="$environment/build" -e .
$python -m pytest -m "not slow" tests/ops
