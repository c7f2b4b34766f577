"""LazyAdam is Adam, but for what a batch has not touched; its state survives checkpoints."""

import pytest
import torch

from saff_fast.train.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimiser_tensors,
    restore_optimiser,
    save_checkpoint,
)
from saff_fast.train.lazy_adam import LazyAdam

OPTIONS = {"betas": (0.9, 0.99), "eps": 1e-15}


def make_parameters():
    generator = torch.Generator().manual_seed(1)
    table, weight = torch.randn(100, 2, generator=generator), torch.randn(5, 3, generator=generator)
    return [table.requires_grad_(), weight.requires_grad_()]


def train(parameters, optimiser, steps):
    """Steps with a learning rate of their own and gradients that depend on the parameters and on the step."""
    for step in steps:
        for group in optimiser.param_groups:
            group["lr"] = 0.1 / (step + 1)
        optimiser.zero_grad()
        target = torch.randn(1, generator=torch.Generator().manual_seed(step))
        sum((parameter - target).square().sum() for parameter in parameters).backward()
        optimiser.step()
    return [parameter.detach().clone() for parameter in parameters]


def test_equals_torch_where_no_gradient_is_zero():
    results = []
    for kind in (LazyAdam, torch.optim.Adam):
        parameters = make_parameters()
        results.append(train(parameters, kind(parameters, **OPTIONS), range(30)))
    torch.testing.assert_close(*results)


def test_what_a_batch_does_not_touch_stays():
    table, _ = make_parameters()
    optimiser = LazyAdam([table], lr=0.1)
    table.square().sum().backward()
    optimiser.step()
    before = table.detach().clone(), optimiser.state[table]["exp_avg"].clone()
    optimiser.zero_grad()
    table[:24].square().sum().backward()  # 48 values: three blocks
    optimiser.step()
    for old, new in zip(before, (table.detach(), optimiser.state[table]["exp_avg"]), strict=True):
        assert (old[:24] != new[:24]).all()
        assert torch.equal(old[24:], new[24:])


def test_a_parameter_without_a_gradient_is_left_out():
    table, weight = make_parameters()
    before = weight.detach().clone()
    optimiser = LazyAdam([table, weight])
    table.sum().backward()
    optimiser.step()
    assert torch.equal(weight, before)
    assert list(optimiser.state) == [table]


def test_groups_keep_their_own_numbers():
    table, weight = make_parameters()
    before = weight.detach().clone()
    optimiser = LazyAdam([{"params": [table]}, {"params": [weight], "lr": 0.0}], lr=0.1)
    (table.sum() + weight.sum()).backward()
    optimiser.step()
    assert torch.equal(weight, before)
    torch.testing.assert_close(table.detach(), make_parameters()[0].detach() - 0.1)


def test_closure():
    table, _ = make_parameters()
    optimiser = LazyAdam([table], lr=0.1)

    def loss():
        optimiser.zero_grad()
        value = table.square().sum()
        value.backward()
        return value

    assert optimiser.step(loss) > optimiser.step(loss)


def test_resumes_bit_for_bit(tmp_path):
    parameters = make_parameters()
    expected = train(parameters, LazyAdam(parameters, **OPTIONS), range(10))

    parameters = make_parameters()
    optimiser = LazyAdam(parameters, **OPTIONS)
    train(parameters, optimiser, range(5))
    save_checkpoint(tmp_path, Checkpoint(5, 0.0, {}, optimiser_tensors(optimiser)))
    resumed = LazyAdam(parameters, **OPTIONS)
    restore_optimiser(resumed, load_checkpoint(tmp_path).tensors)
    assert all(torch.equal(*pair) for pair in zip(train(parameters, resumed, range(5, 10)), expected, strict=True))


@pytest.mark.parametrize("kinds", [(torch.optim.Adam, LazyAdam), (LazyAdam, torch.optim.Adam)], ids=["from", "to"])
def test_exchanges_its_state_with_torch(kinds):
    parameters = make_parameters()
    expected = train(parameters, torch.optim.Adam(parameters, **OPTIONS), range(10))
    parameters = make_parameters()
    first, second = (kind(parameters, **OPTIONS) for kind in kinds)
    train(parameters, first, range(5))
    restore_optimiser(second, optimiser_tensors(first))
    torch.testing.assert_close(train(parameters, second, range(5, 10)), expected)


def test_wrong_numbers_are_named():
    table, _ = make_parameters()
    table.sum().backward()
    with pytest.raises(ValueError, match=r"betas must be in \[0, 1\), got \(0.9, 1.5\)"):
        LazyAdam([table], betas=(0.9, 1.5)).step()
