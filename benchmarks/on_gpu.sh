#!/usr/bin/env bash
# What needs a GPU, in stages of under 9 minutes each. Outcomes go to $OUT (default: benchmarks/results).
#   benchmarks/on_gpu.sh build-and-test       build with CUDA, run the tests marked gpu
#   benchmarks/on_gpu.sh ops                  every op, the ceilings, scaling
#   benchmarks/on_gpu.sh step SCENE           a training step, samples a ray
#   benchmarks/on_gpu.sh train SCENE [RUN]    train a prepared scene; the same call again goes on (RUN: runs/gpu)
#   benchmarks/on_gpu.sh score RUN            render, segment and score it
#   benchmarks/on_gpu.sh fps RUN              frames a second of it
# PYTHON names the interpreter whose torch is used; the packages of pyproject.toml have to be there.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
SAFF_FAST=("$PYTHON" -c "from saff_fast.cli.main import main; raise SystemExit(main())")
OUT=${OUT:-benchmarks/results}
HELD_OUT=4,10,16,22
TRAINING_SECONDS=480
mkdir -p "$OUT"

usage() {
  sed -n '2,9p' "$0" >&2
  exit 2
}

measure() { # NAME OPTION...
  "$PYTHON" "benchmarks/$1.py" --json "$OUT/$1_cuda.json" "${@:2}"
}

case "${1:-}" in
  step | train | score | fps) [ $# -ge 2 ] || usage ;;
esac
case "${1:-}" in
  build-and-test)
    SAFF_CUDA=ON "$PYTHON" -m pip install -q --no-deps --no-build-isolation -e .
    "${SAFF_FAST[@]}" doctor | tee "$OUT/doctor.txt"
    "$PYTHON" -m pytest -m gpu | tee "$OUT/gpu_tests.txt"
    ;;
  ops)
    measure ops
    measure roofline
    measure scaling
    measure kmeans
    ;;
  step)
    measure train_step --preset nvidia --scene "$2"
    measure samples_per_ray --preset nvidia --scene "$2"
    ;;
  train)
    # Cut short, training leaves a checkpoint to go on from.
    timeout "$TRAINING_SECONDS" "${SAFF_FAST[@]}" \
      train "$2" --out "${3:-runs/gpu}" --preset nvidia --hold-out "$HELD_OUT" || [ $? -eq 124 ]
    ;;
  score)
    "${SAFF_FAST[@]}" render "$2"
    "${SAFF_FAST[@]}" segment "$2"
    "${SAFF_FAST[@]}" evaluate "$2" --json "$OUT/score_cuda.json"
    "${SAFF_FAST[@]}" evaluate "$2" --protocol holdout --json "$OUT/score_held_out_cuda.json"
    ;;
  fps)
    measure render_fps --run "$2"
    ;;
  *) usage ;;
esac
