"""Calls one op with hostile arguments: `python -m tests.ops.fuzz OP CASES [SEED]`.

Each case is printed before it runs, so that the last line of a process that died is the case that killed it.
"""

import sys

import hypothesis

from tests.ops.fuzz.table import cases


def fuzz(name: str, n_cases: int, seed: int = 0) -> None:
    """Run `n_cases` cases of the op `name`."""

    @hypothesis.settings(
        max_examples=n_cases, deadline=None, database=None, suppress_health_check=hypothesis.HealthCheck
    )
    @hypothesis.seed(seed)
    @hypothesis.given(cases(name))
    def run(case):
        print(case, flush=True)
        case.run()

    run()


if __name__ == "__main__":
    fuzz(sys.argv[1], *map(int, sys.argv[2:]))
