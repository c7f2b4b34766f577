"""What torch infers the ops' schemas from."""

import importlib
import pkgutil
import types
import typing

import pytest
from torch.library import CustomOpDef

from saff_fast import ops

MODULES = [importlib.import_module(f"saff_fast.ops.{module.name}") for module in pkgutil.iter_modules(ops.__path__)]
OPS = {op._qualname: op for module in MODULES for op in vars(module).values() if isinstance(op, CustomOpDef)}


@pytest.mark.parametrize("name", sorted(OPS))
def test_torch_2_6_can_read_it(name):
    """It knows `typing.List`, not `list[...]`; newer ones know both, so nothing but this test would tell here."""
    hints = typing.get_type_hints(OPS[name]._init_fn)
    del hints["return"]
    assert not [parameter for parameter, hint in hints.items() if isinstance(hint, types.GenericAlias)]


def test_all_ops_are_found():
    assert {"saff_fast::accumulate", "saff_fast::lazy_adam", "saff_fast::project_flow"} < OPS.keys()
