import pytest
import torch

COUNTS = {  # samples per ray: the cases that break scans
    "one_ray": [5],
    "ragged": [3, 1, 7],
    "empty_rays": [0, 4, 0, 0, 2, 0],
    "no_rays": [],
    "longer_than_a_block": [700, 1],
}


@pytest.fixture(params=COUNTS.values(), ids=COUNTS.keys())
def counts(request):
    return request.param


@pytest.fixture(params=[[[10**12, 5]], [[-7, 3]], [[2, 10**12]], [[1, -4]]], ids=["far", "before", "long", "negative"])
def hostile_info(request):
    """A packed_info of one ray that lies outside of the buffers."""
    return request.param


@pytest.fixture
def by_threads():
    """Runs a function with several numbers of threads and gives the results, one a number."""
    before = torch.get_num_threads()

    def run(function, numbers=(1, 3)):
        results = []
        for n in numbers:
            torch.set_num_threads(n)
            results.append(function())
        return results

    yield run
    torch.set_num_threads(before)
