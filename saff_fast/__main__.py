"""`python -m saff_fast`, which torchrun starts as `torchrun -m saff_fast`."""

import sys

from saff_fast.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
