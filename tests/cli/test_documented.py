"""Every command line that a page shows is one that the program takes."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from maclip_lab import cli
from tests.store_world import ROOT

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("data/*/README.md")]
PAGES = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which tells of what was
LINE = re.compile(r"maclip-lab ([a-z][^`\n#|]*)")
PLACEHOLDERS = ("...", "\N{HORIZONTAL ELLIPSIS}")


def shown(page: Path) -> list[str]:
    """Command lines in a page, those that a line of prose breaks put together again."""
    text = re.sub(r"(?<=[a-z0-9])\n +(?=--)", " ", page.read_text(encoding="utf-8"))
    return sorted({match.strip() for match in LINE.findall(text)})


LINES = sorted({line for page in PAGES for line in shown(page)})


@pytest.mark.parametrize("line", LINES)
def test_a_documented_command_line_names_commands_options_and_values_that_exist(line):
    words = [word for word in shlex.split(line) if word not in PLACEHOLDERS]
    command = cli.Later(words.pop(0)).load()
    while hasattr(command, "commands") and words:
        command = command.commands[words.pop(0)]
    command.make_parser(typer.Context(command, resilient_parsing=True)).parse_args(words)


def test_the_pages_show_command_lines():
    assert len(LINES) > 30
    verify = [line for line in LINES if line.startswith("weights verify RN50 --pictures")]
    assert [shlex.split(line).count("--pictures") for line in verify] == [2] * len(verify) != []
