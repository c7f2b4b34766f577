"""The `saff-fast` command: reads the arguments, runs one subcommand, turns a user's mistake into one sentence."""

import errno
import os
import sys
from collections.abc import Callable, Sequence

import tyro

from saff_fast.cli.collect import collect
from saff_fast.cli.demo import demo
from saff_fast.cli.doctor import doctor
from saff_fast.cli.evaluate import evaluate
from saff_fast.cli.export import export
from saff_fast.cli.import_checkpoint import import_checkpoint
from saff_fast.cli.postprocess import postprocess
from saff_fast.cli.prepare import prepare
from saff_fast.cli.render import render
from saff_fast.cli.segment import segment
from saff_fast.cli.train import train
from saff_fast.cli.view import view
from saff_fast.errors import SaidElsewhere, UserError

# The subcommands' modules import torch inside the functions, so that help appears at once.
COMMANDS: dict[str, Callable[..., int | None]] = {
    command.__name__.replace("_", "-"): command
    for command in (
        demo,
        prepare,
        train,
        render,
        segment,
        postprocess,
        evaluate,
        collect,
        export,
        view,
        import_checkpoint,
        doctor,
    )
}
_USER_ERRNO = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 (doctor found a fault), 2 (bad input), 130 (interrupted)."""
    try:
        code = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="saff-fast",
            description="From one casual video to a 4D semantic field and its objects.",
            args=arguments,
            config=(tyro.conf.FlagCreatePairsOff, tyro.conf.HelptextFromCommentsOff),
        )
    except SaidElsewhere:
        return EXIT_USER_ERROR
    except UserError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("saff-fast: interrupted; the same command again goes on.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in _USER_ERRNO:
            raise
        return _fail(f"{error.filename or 'output'} cannot be used: {error.strerror}")
    return code or 0


def _fail(sentence: str) -> int:
    print(f"saff-fast: {' '.join(sentence.split()).rstrip('.')}.", file=sys.stderr)
    return EXIT_USER_ERROR
