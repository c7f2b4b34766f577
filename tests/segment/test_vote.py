import pytest
import torch

from saff_fast.segment.vote import vote

LIMITS = {"threshold": 0.07, "quorum": 0.7, "min_share": 0.0}


def views_of(pattern):
    """One row per view of (label, evidence) pixels."""
    for row in pattern:
        yield torch.tensor([[label for label, _ in row]]), torch.tensor([[evidence for _, evidence in row]])


@pytest.mark.parametrize(("n_for", "elected"), [(7, True), (6, False)])
def test_quorum_of_ten_views(n_for, elected):
    pattern = [[(0, 0.0), (1, 0.2 if view < n_for else 0.0)] for view in range(10)]
    result = vote(views_of(pattern), 2, **LIMITS)
    assert result.votes.tolist() == [0, n_for]
    assert result.elected.tolist() == [False, elected]


@pytest.mark.parametrize(("n_views", "needed"), [(24, 17), (48, 34)])
def test_published_quorums(n_views, needed):
    for n_for in (needed, needed - 1):
        pattern = [[(0, 1.0 if view < n_for else 0.0)] for view in range(n_views)]
        assert bool(vote(views_of(pattern), 1, **LIMITS).elected[0]) == (n_for == needed)


def test_only_views_with_the_label_count():
    pattern = [[(0, 0.0), (1, 0.5)], [(0, 0.0), (1, 0.5)]] + [[(0, 0.0), (0, 0.0)]] * 20
    result = vote(views_of(pattern), 3, **LIMITS)
    assert result.occurrences.tolist() == [22, 2, 0]
    assert result.elected.tolist() == [False, True, False]


def test_a_quorum_of_all_views_loses_what_is_seen_in_few():
    pattern = [[(0, 1.0), (1, 0.5)]] * 6 + [[(0, 1.0), (0, 1.0)]] * 4
    assert vote(views_of(pattern), 2, **LIMITS).elected.tolist() == [True, True]
    assert vote(views_of(pattern), 2, **LIMITS, quorum_of="all").elected.tolist() == [True, False]


def test_mean_not_sum_and_strictly_above():
    pattern = [[(0, 0.13), (0, 0.0), (1, 0.15), (1, 0.0), (2, 0.07)]]
    result = vote(views_of(pattern), 3, **(LIMITS | {"threshold": 0.07000000029802322}))
    assert result.elected.tolist() == [False, True, False]
    torch.testing.assert_close(result.means, torch.tensor([0.065, 0.075, 0.07], dtype=torch.float64), atol=1e-7, rtol=0)


def test_specks_do_not_occur():
    pattern = [[(0, 0.0)] * 9 + [(1, 1.0)]]
    assert vote(views_of(pattern), 2, **LIMITS).elected.tolist() == [False, True]
    assert vote(views_of(pattern), 2, **(LIMITS | {"min_share": 0.2})).elected.tolist() == [False, False]
