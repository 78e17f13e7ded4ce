"""What all errors of this package have in common."""


class SrkitError(Exception):
    """What a user can mend: the message names the thing, the reason and the next step. Commands
    print it in one line and end with `exit_code`; notebooks may catch this one class."""

    exit_code = 2  # bad input; 1: a run that could not begin or go on
