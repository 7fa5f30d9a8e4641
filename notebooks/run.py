"""Executes the notebooks with parameters of yours into a folder of yours, by papermill.

    python notebooks/run.py --backbone RN50 --dataset koniq --root ~/koniq10k --out mine
    python notebooks/run.py 02 03 -p SEED 1 --out mine
    python notebooks/run.py 05 --dataset mine.csv -c score_column DMOS -c higher_is_better False --out mine

A notebook is given those parameters that it has; paths start where you are. Features are kept in
``features`` of the folder, unless ``-p STORE`` names another. One that lies executed
in the folder, with the same cells and the same parameters, is not run again: empty the folder after
a change of the package or of the pictures. One that fails, or was stopped, is left there as
``NAME.unfinished.ipynb``, and the next goes on. ``claims.csv`` holds every sentence that was judged.
The exit status is 1 where a notebook failed; a claim that does not hold is a result.
"""

import argparse
import ast
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from pandas import DataFrame
from papermill.exceptions import PapermillExecutionError
from refresh import HERE, KERNEL, find_notebooks, prepare_kernels

VERDICTS = {"=": "held", "✓": "held", "✗": "not held", "…": "cannot tell"}  # by what shows them
COLUMNS = ["notebook", "verdict", "sentence"]
INJECTED = "injected-parameters"


def read(path: Path) -> NotebookNode:
    """The notebook at ``path``."""
    return nbformat.read(path, as_version=4)


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell, most often none."""
    return cell.metadata.get("tags", [])


def parameters_of(notebook: NotebookNode) -> set[str]:
    """Names that the notebook's parameters cell sets."""
    sources = [cell.source for cell in notebook.cells if "parameters" in tags(cell)]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    return {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def is_executed(path: Path, notebook: NotebookNode, parameters: dict[str, object]) -> bool:
    """Whether the file at ``path`` is ``notebook``, executed with ``parameters``."""
    if not path.is_file():
        return False
    there = read(path)
    cells = [cell.source for cell in there.cells if INJECTED not in tags(cell)]
    same = there.metadata.get("papermill", {}).get("parameters") == parameters
    return same and cells == [cell.source for cell in notebook.cells]


def execute(path: Path, out: Path, parameters: dict[str, object]) -> str:
    """Executes one notebook into the folder ``out``; returns what went wrong, or nothing."""
    unfinished, finished = (out / f"{path.stem}{end}.ipynb" for end in (".unfinished", ""))
    finished.unlink(missing_ok=True)
    try:
        papermill.execute_notebook(
            path, unfinished, parameters, kernel_name=KERNEL["name"], progress_bar=False
        )
    except PapermillExecutionError as error:
        return f"{error.ename}: {error.evalue}"
    except DeadKernelError as error:
        return f"its kernel died: {error}"
    unfinished.replace(finished)
    return ""


def claims_in(notebook: NotebookNode) -> dict[str, str]:
    """Each judged sentence that an executed notebook shows, exercises apart, and its verdict."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []) if "exercise" not in tags(cell) else []:
            lines = output.get("data", {}).get("text/plain", "").splitlines()
            marked = [line.partition(" ") for line in lines]
            if all(mark in VERDICTS for mark, _, _ in marked):
                found |= {sentence: VERDICTS[mark] for mark, _, sentence in marked}
    return found


def run(
    path: Path, out: Path, parameters: dict[str, object]
) -> tuple[list[tuple[str, str, str]], bool]:
    """Executes one notebook, where that is to do, and says how it went.

    Returns:
        Its rows of the table of claims, and whether it came to its end.
    """
    notebook, finished = read(path), out / path.name
    given = {name: parameters[name] for name in parameters.keys() & parameters_of(notebook)}
    start, problem, note = time.monotonic(), "", "executed before"
    if not is_executed(finished, notebook, given):
        problem = execute(path, out, given)
        note = f"{time.monotonic() - start:.0f} s"
    shown = out / f"{path.stem}.unfinished.ipynb" if problem else finished
    rows = [(path.stem, verdict, sentence) for sentence, verdict in claims_in(read(shown)).items()]
    told = [f"{path.stem}: {counted(rows)} ({note})"]
    if problem:
        rows.append((path.stem, "failed", problem))
    told += [f"  {verdict}: {sentence}" for _, verdict, sentence in rows if verdict != "held"]
    print("\n".join(told), flush=True)
    return rows, not problem


def counted(rows: Sequence[tuple[str, str, str]]) -> str:
    """How many claims came out how."""
    counts = Counter(verdict for _, verdict, _ in rows)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in dict.fromkeys(VERDICTS.values()))


def main(arguments: Sequence[str] | None = None, folder: Path = HERE) -> int:
    """Runs what was named of the notebooks in ``folder``; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", help="names or their beginnings, such as 03; all")
    parser.add_argument("--out", type=Path, required=True, help="folder for the executed notebooks")
    parser.add_argument("--backbone", help="a name or a file of weights")
    parser.add_argument("--dataset", help="a set, a pack, a folder or a list of your own")
    parser.add_argument("--root", help="the data set's folder")
    parser.add_argument(
        "-p",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="one more parameter, such as STORE, N_BOOT or SEED",
    )
    parser.add_argument(
        "-c",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="how your list is opened: path_column, score_column, reference_column, split, or "
        "higher_is_better True or False",
    )
    given = parser.parse_args(arguments)
    parameters = {name: literal(value) for name, value in given.p}
    for name in ("backbone", "dataset", "root"):
        if (value := getattr(given, name)) is not None:
            parameters[name.upper()] = value
    if given.c:
        parameters["CHOICES"] = {name: literal(value) for name, value in given.c}
    if parameters.get("ROOT"):
        parameters["ROOT"] = str(Path(parameters["ROOT"]).expanduser().absolute())
    if given.out.resolve().is_relative_to(folder.resolve()):
        parser.error(f"--out is {given.out}, among the notebooks themselves: name another folder")
    paths = find_notebooks(given.notebooks, folder)
    known = set().union(*(parameters_of(read(path)) for path in paths))
    if lost := sorted(parameters.keys() - known):
        parser.error(
            f"no notebook has a parameter {lost[0]!r}; there are {', '.join(sorted(known))}"
        )
    parameters.setdefault("STORE", str(given.out.absolute() / "features"))
    given.out.mkdir(parents=True, exist_ok=True)
    prepare_kernels()
    rows, failed = [], 0
    for path in paths:
        more, finished = run(path, given.out, parameters)
        rows, failed = rows + more, failed + (not finished)
    table = given.out / "claims.csv"
    DataFrame(rows, columns=COLUMNS).to_csv(table, index=False)
    print(f"{len(paths)} notebooks, {failed} failed; claims: {counted(rows)}; all in {table}")
    return int(failed > 0)


def literal(text: str) -> object:
    """``text`` as Python reads it: a number, True, None; else as it stands."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


if __name__ == "__main__":
    sys.exit(main())
