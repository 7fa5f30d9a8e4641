"""nbgrader for this course: what is handed in is run, however it behaves."""

import os

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_output
from nbgrader.converters.autograde import Autograde
from nbgrader.preprocessors import Execute, OverwriteCells

LIMIT = 30  # seconds a cell; a sheet takes a few in all


class Run(Execute):
    """Runs a sheet as its student's, and again without the cells that end it or never end."""

    def preprocess(self, nb, resources, km=None):
        """Runs all cells; whatever is fatal is left out, and the others run in a new kernel."""
        os.environ["STUDENT"] = resources["nbgrader"]["student"]
        self.fatal = {}
        while True:
            try:
                return super().preprocess(nb, resources, km)
            except (CellTimeoutError, DeadKernelError) as error:
                self.fatal[self.place] = f"this cell was left out: {error}".partition("\n")[0]

    def preprocess_cell(self, cell, resources, index):
        """Runs a cell, unless it is fatal; a test that says nothing was not run."""
        self.place, problem = index, self.fatal.get(index, "this test did not run")
        if index not in self.fatal:
            cell, resources = super().preprocess_cell(cell, resources, index)
        is_test = cell.metadata.get("nbgrader", {}).get("grade")
        if is_test:  # nbgrader takes a warning for a failure
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
        said = [one.get("text", "judged") for one in cell.get("outputs", [])]
        if index in self.fatal or (is_test and "judged" not in "".join(said)):
            cell.outputs = [
                new_output("error", ename="Left out", evalue=problem, traceback=[problem])
            ]
        return cell, resources


class Restore(OverwriteCells):
    """Puts tests that were deleted back, at the end."""

    def add_missing_grade_cells(self, nb, resources):
        """Adds the graded cells that the sheet has and the submission lacks."""
        sheet = self.gradebook.find_notebook(self.notebook_id, self.assignment_id)
        there = {cell.metadata.get("nbgrader", {}).get("grade_id") for cell in nb.cells}
        sources = {cell.name: cell for cell in sheet.source_cells}
        lost = [cell for cell in sheet.grade_cells if cell.name not in there]
        nb.cells += [self.missing_cell_transform(sources[one.name], one.max_score) for one in lost]
        return nb, resources


ours = {Execute: Run, OverwriteCells: Restore}
steps = Autograde()
c = get_config()  # noqa: F821 (nbgrader gives it)
c.CourseDirectory.course_id = "maclip"
c.Autograde.sanitize_preprocessors = [ours.get(one, one) for one in steps.sanitize_preprocessors]
c.Autograde.autograde_preprocessors = [ours.get(one, one) for one in steps.autograde_preprocessors]
c.Restore.add_missing_cells = True
c.Run.timeout = LIMIT
c.Run.interrupt_on_timeout = False
c.Run.error_on_timeout = {}  # none: it raises
no_exit = "--IPKernelApp.exec_lines=del exit, quit"  # they end a kernel in a later cell
c.Run.extra_arguments = ["--HistoryManager.hist_file=:memory:", no_exit]
c.ClearSolutions.code_stub = {"python": "# your answer\nraise NotImplementedError()"}
# ada_02_statistics_by_hand, with what a learning platform puts before it and a browser after it
name = r".*?(?P<student_id>[^_/\\]+)_(?P<file_id>\d\d_\w+?)(?: ?\(\d+\))?\.ipynb$"
c.FileNameCollectorPlugin.named_regexp = name
