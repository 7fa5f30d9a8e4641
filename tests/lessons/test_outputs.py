from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter

from maclip_lab.lessons import keep_shown, outputs


@pytest.fixture
def notebook(monkeypatch):
    """A notebook: called with a cell's source and what it displays."""
    shell = SimpleNamespace(display_formatter=DisplayFormatter(), user_ns={"In": [""]})
    monkeypatch.setattr(outputs, "get_ipython", lambda: shell)

    def show(source, value):
        shell.user_ns["In"].append(source)
        return shell.display_formatter.format(value)[0]

    yield show
    plt.close("all")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_figure_is_kept_with_its_fonts_and_its_data_and_shown_as_ever(notebook, tmp_path):
    figure, ax = plt.subplots()
    ax.plot([0, 1], [2, 3])
    source = "title = plots.backbone_label(x)\nplots.cue_scatter(table)\nplt.show()"
    plain = notebook(source, figure)
    keep_shown(tmp_path / "out", "02")
    assert notebook(source, figure) == plain
    assert names(tmp_path / "out") == [f"02-01-cue_scatter.{s}" for s in ("csv", "pdf", "png")]
    pdf = (tmp_path / "out" / "02-01-cue_scatter.pdf").read_bytes()
    assert b"/FontFile2" in pdf  # a TrueType font, whole
    assert b"/Type3" not in pdf
    table = pd.read_csv(tmp_path / "out" / "02-01-cue_scatter.csv")
    np.testing.assert_array_equal(table[["x", "y"]], [[0, 2], [1, 3]])


def test_a_table_is_kept_as_text_and_for_latex(notebook, tmp_path):
    table = pd.DataFrame({"q_cos": [0.25], "n": [7]}, index=["all"])
    keep_shown(tmp_path, "07")
    assert "text/html" in notebook("rows = 1\noverall[columns].round(2)", table)
    for source in ("DataFrame(\n    rows,\n).round(1)", "pd.DataFrame(rows)"):
        notebook(source, table)
    notebook("ablations.payoff_table(found)", table)
    kept = ("01-overall", "02-table", "03-table", "04-payoff_table")
    assert names(tmp_path) == [f"07-{name}.{kind}" for name in kept for kind in ("csv", "tex")]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "07-01-overall.csv", index_col=0), table)
    assert r"q\_cos" in (tmp_path / "07-01-overall.tex").read_text()


def test_nothing_is_kept_unless_asked_and_not_twice(notebook, tmp_path):
    table = pd.DataFrame({"a": [1]})
    keep_shown(tmp_path / "first", "00")
    keep_shown(tmp_path / "second", "00")
    notebook("table", table)
    assert names(tmp_path / "first") == []
    assert len(names(tmp_path / "second")) == 2
    keep_shown(None, "00")
    notebook("table", table)
    assert len(names(tmp_path / "second")) == 2
