"""All commands together, and what becomes of their errors."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from srkit.cli import notebooks, pictures, training
from srkit.cli.options import check_inputs, check_outputs
from srkit.files import SrkitError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 for a run that failed, 2 for bad input, which
    ends with one line that says what was wrong."""
    options, others = parser().parse_known_args(arguments)
    if options.run is notebooks.run_lab:
        options.others = others[1:] if others[:1] == ["--"] else others
    elif others:
        parser().error(f"unrecognized arguments: {' '.join(others)}")
    try:
        check_inputs(options)
        check_outputs(options)
        return options.run(options)
    except (SrkitError, ValueError, OSError) as error:
        print(f"srkit: {' '.join(in_words(error).splitlines())}", file=sys.stderr)
        return getattr(error, "exit_code", 2)
    except KeyboardInterrupt:
        return 130


def in_words(error: Exception) -> str:
    """What an error says; of one that the system reported, too, with what to do."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        what = " and ".join(str(name) for name in (error.filename, error.filename2) if name)
        return f"{what}: {error.strerror}; see that it is there and yours, or name another"
    return str(error)


def parser() -> ArgumentParser:
    """The commands with their options. Imports stay light: `--help` loads no torch."""
    top = ArgumentParser(prog="srkit", description="The command line of srkit.")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    notebooks.add_report(commands)
    notebooks.add_lab(commands)
    notebooks.add_site(commands)
    pictures.add_upscale(commands)
    pictures.add_models(commands)
    pictures.add_evaluate(commands)
    pictures.add_fid(commands)
    pictures.add_bench(commands)
    training.add_train(commands)
    training.add_ablation(commands)
    training.add_distil(commands)
    training.add_ship(commands)
    training.add_pack(commands)
    return top
