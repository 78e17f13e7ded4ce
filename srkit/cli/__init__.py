"""The command line: `python -m srkit COMMAND`, or `srkit COMMAND`."""

from srkit.cli.entry import main as main
from srkit.cli.entry import parser as parser
from srkit.cli.options import parse_setting as parse_setting
