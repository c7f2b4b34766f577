"""What processes tell one another. Run as a program this is one of them."""

import subprocess
import sys

import pytest
import torch

from saff_fast import distributed
from saff_fast.errors import SaidElsewhere, UserError
from saff_fast.losses import separation
from saff_fast.losses.reductions import masked_mean, mean


def test_alone_everything_stays_as_it_is():
    values = torch.tensor([1.0, 2.0], requires_grad=True)
    assert distributed.total(values) is values
    assert distributed.gathered(values) is values
    assert (distributed.largest(3), distributed.rank(), distributed.n_ranks()) == (3, 0, 1)
    assert distributed.together(lambda: 5) == 5
    distributed.add_gradients([values])
    assert values.grad is None
    with distributed.joined("cpu"):
        assert distributed.n_ranks() == 1


def test_means_are_those_of_torch_bit_for_bit():
    values, mask = torch.randn(1000), torch.rand(1000)
    assert torch.equal(mean(values), values.mean())
    assert torch.equal(masked_mean(values, mask), (values * mask).sum() / (mask.sum() + 1e-8))


@pytest.mark.slow
def test_two_processes():
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tests.test_distributed"]
    finished = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("as it should be") == 2


def _parts(values):
    """A batch of ten spread unevenly: seven and three."""
    return values[:7] if distributed.rank() == 0 else values[7:]


def _means_are_those_of_the_whole_batch():
    generator = torch.Generator().manual_seed(3)
    values, mask = torch.randn(2, 10, dtype=torch.float64, generator=generator).abs()
    for function in (lambda v, m: mean(v), lambda v, m: masked_mean(v, m).square(), lambda v, m: masked_mean(v, None)):
        inputs = [x.clone().requires_grad_() for x in (values, mask)]
        whole = _alone(function, *inputs)
        whole.backward()
        parts = [_parts(x).clone().requires_grad_() for x in (values, mask)]
        part = function(*parts)
        part.backward()
        torch.testing.assert_close(part.detach(), whole.detach())
        for one, all_of_it in zip(parts, inputs, strict=True):
            torch.testing.assert_close(one.grad, None if all_of_it.grad is None else _parts(all_of_it.grad))
    motion = (values > 0.5).double()
    fit = _alone(separation.static_fit, values, motion)
    own = separation.static_fit(_parts(values), _parts(motion))
    torch.testing.assert_close(own.explained, _parts(fit.explained))
    torch.testing.assert_close(own.pull, _parts(fit.pull))
    unfounded = _alone(separation.motion_unfounded, values, mask, motion, 4, 0.3)
    counts = 3 if distributed.rank() == 0 else 1
    torch.testing.assert_close(
        separation.motion_unfounded(_parts(values), _parts(mask), _parts(motion), counts, 0.3), unfounded
    )


def _alone(function, *arguments):
    """What one process with the whole batch computes."""
    from saff_fast.losses import reductions

    names = ("n_ranks", "total", "gathered")
    before = {name: getattr(reductions, name) for name in names}
    alone = {"n_ranks": lambda: 1, "total": lambda values: values, "gathered": lambda values: values}
    for name in names:
        setattr(reductions, name, alone[name])
    try:
        return function(*arguments)
    finally:
        for name in names:
            setattr(reductions, name, before[name])


def _gradients_are_added():
    parameters = [torch.zeros(3, requires_grad=True), torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)]
    parameters.append(torch.zeros(2, requires_grad=True))
    own = distributed.rank() + 1.0
    parameters[0].grad, parameters[1].grad = torch.full((3,), own), torch.full((2, 2), 10 * own, dtype=torch.float64)
    if distributed.rank() == 1:
        parameters[2].grad = torch.ones(2)
    distributed.add_gradients(parameters)
    assert [parameter.grad.unique().tolist() for parameter in parameters] == [[3], [30], [1]]


def _values_are_exchanged():
    rank = distributed.rank()
    assert distributed.largest(rank == 1) == 1
    everything = distributed.gathered(torch.arange(5.0) if rank == 0 else torch.zeros(0))
    assert everything.tolist() == [0, 1, 2, 3, 4]
    memory = torch.tensor([0.5, 0.1], dtype=torch.float16) if rank else torch.tensor([0.2, 0.3], dtype=torch.float16)
    distributed.keep_largest([memory])
    assert torch.equal(memory, torch.tensor([0.5, 0.3], dtype=torch.float16))


def _a_failure_is_told_once():
    def fail():
        if distributed.rank() == 1:
            raise UserError("no GPU here")
        return 7

    with pytest.raises(UserError, match="no GPU here") as raised:
        distributed.together(fail)
    assert isinstance(raised.value, SaidElsewhere) == (distributed.rank() == 1)
    done = []
    distributed.by_first(lambda: done.append(1))
    assert len(done) == 1 - distributed.rank()


def _differences_are_found():
    same = torch.tensor([1.0, 2.0])
    distributed.check_same([same, torch.tensor(3, dtype=torch.int64), torch.tensor([True])])
    with pytest.raises(UserError, match="same parameters"):
        distributed.check_same([same, torch.tensor([1.0, distributed.rank()])])


if __name__ == "__main__":
    with distributed.joined("cpu"):
        assert distributed.n_ranks() == 2
        _means_are_those_of_the_whole_batch()
        _gradients_are_added()
        _values_are_exchanged()
        _a_failure_is_told_once()
        _differences_are_found()
        print("as it should be")
