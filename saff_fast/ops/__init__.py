"""Compiled operations, one module an op; `reference.py` defines each of them in plain torch."""

from saff_fast.ops.render_weights import render_weights as render_weights
