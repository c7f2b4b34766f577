"""The one error that stands for a user's mistake."""


class UserError(Exception):
    """Bad input: one sentence that names the file or argument, what it must be, what it was, and what to do.

    The console command prints the sentence and exits with code 2; it never shows a traceback for it.
    """


class SaidElsewhere(UserError):
    """A mistake that the first of several processes tells: this one exits with code 2 in silence."""
