"""The page beside the embedded backbones: every figure of ``runs.csv`` as Markdown tables."""

from collections.abc import Iterable, Mapping

import pandas as pd

from maclip_lab.training.runs import CUE_NAMES, SETS, validation_scores


def page(runs: pd.DataFrame, chosen: Mapping[str, str]) -> str:
    """The figures as Markdown, those of all runs side by side and each with its interval.

    Args:
        runs: from `read_runs`.
        chosen: shipped backbone to the run it is.
    """
    names = list(dict.fromkeys(runs["run"]))
    shipped = {run: name for name, run in chosen.items()}
    heads = [f"**{run}** ({shipped[run]})" if run in shipped else run for run in names]
    validation = validation_scores(runs)
    lines = ["## Every run", "", *_head(["figure", *heads])]
    lines.append(
        _line(["score of the rule", *(f"{validation.get(run, float('nan')):.3f}" for run in names)])
    )
    common = runs[runs["types"].isin(["", "seen", "unseen"])]
    keys = ["set", "types", "cue", "metric"]
    for key, rows in common.groupby(keys, sort=False):
        cells = {row.run: _number(row) for row in rows.itertuples()}
        lines.append(_line([_figure(*key), *(cells.get(run, "not measured") for run in names)]))
    types = runs[(runs["set"] == "photos") & (runs["metric"] == "within")]
    types = types[~types["types"].isin(["", "seen", "unseen"])]
    for run in shipped:
        part = types[types["run"] == run]
        if not part.empty:
            lines += ["", f"## {run} by type, {SETS['photos']}, within a photograph", ""]
            wide = part.pivot(index="types", columns="cue", values="value")[list(CUE_NAMES)]
            lines += _head(["type", *CUE_NAMES.values()])
            lines += [
                _line([str(name), *(f"{value:.2f}" for value in row)])
                for name, row in zip(wide.index, wide.to_numpy(), strict=True)
            ]
    return "\n".join(lines) + "\n"


def _figure(name: str, types: str, cue: str, metric: str) -> str:
    parts = [
        SETS.get(name, name),
        f"{types} types" if types else "",
        CUE_NAMES.get(cue, ""),
        metric,
    ]
    return ", ".join(part for part in parts if part)


def _number(row: object) -> str:
    value, low, high = (getattr(row, name) for name in ("value", "lo", "hi"))
    return f"{value:.3f}" if pd.isna(low) else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _head(cells: Iterable[str]) -> list[str]:
    head = _line(list(cells))
    return [head, "|" + " --- |" * (head.count("|") - 1)]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
