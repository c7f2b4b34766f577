"""The C allocator, told to keep what it has."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8  # glibc, malloc.h


def keep_freed_memory() -> None:
    """Make glibc reuse freed memory instead of returning it to the system.

    A training step, or rendering the next rays of a view, allocates and frees the same hundred buffers of megabytes. By
    default each of them is mapped anew and its pages are faulted in at first touch, which costs more than the
    arithmetic on them. Elsewhere than on Linux with glibc this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 1 << 26)):
            mallopt(option, value)
