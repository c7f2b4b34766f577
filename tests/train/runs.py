"""What tests read of runs."""

import json

import torch

from saff_fast.train.checkpoint import load_checkpoint


def final_state(run):
    return load_checkpoint(run / "checkpoints").tensors


def assert_same_state(actual, expected):
    assert actual.keys() == expected.keys()
    different = [name for name in expected if not torch.equal(actual[name], expected[name])]
    assert not different


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
