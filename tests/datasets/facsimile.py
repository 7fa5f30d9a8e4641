"""Copies of the nine data sets as their publishers ship them, with one tiny picture in every place.

``build("koniq", folder)`` lays out a whole facsimile: every row of the set, names and native score
files, hard links to one picture for the rest. ``rows=20`` makes a small one. With ``native=`` the
publishers' own score files are used where they are known, else scores are invented (seeded, falling
with distortion level). ``rows_of`` returns what a faithful reader should find.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
from PIL import Image
from scipy.io import loadmat, savemat

LAYOUTS: dict[str, tuple[str, ...]] = {
    "livec": ("native", "flat", "double"),
    "AGIQA-3k": ("native", "nested"),
    "AGIQA-1k": ("native", "flat"),
    "SPAQ": ("native", "dataset", "std"),
    "CSIQ": ("native", "waterloo", "flat", "root"),
    "TID2013": ("native", "lower", "nested"),
    "kadid": ("native", "nested"),
    "koniq": ("native", "sets", "both"),
    "PIPAL": ("native", "double", "merged"),
}
"""Layouts of each set; the first is the publisher's."""

COUNTS = {
    "livec": 1169,
    "AGIQA-3k": 2982,
    "AGIQA-1k": 1080,
    "SPAQ": 11125,
    "CSIQ": 866,
    "TID2013": 3000,
    "kadid": 10125,
    "koniq": 10073,
    "PIPAL": 24200,
}
"""Rows of the publishers' files."""

SIZES = {
    "livec": (500, 500),
    "CSIQ": (512, 512),
    "TID2013": (512, 384),
    "kadid": (512, 384),
    "koniq": (1024, 768),
    "PIPAL": (288, 288),
}
"""Sizes of the pictures, where a set has one."""

CSIQ_TOKENS = {
    "AWGN": "noise",
    "BLUR": "blur",
    "contrast": "contrast",
    "fnoise": "fnoise",
    "JPEG": "jpeg",
    "jpeg2000": "jpeg 2000",
}
PIPAL_GROUPS = {"00": 12, "01": 16, "02": 10, "03": 24, "04": 13, "05": 14, "06": 27}


def build(
    name: str,
    root: Path,
    *,
    layout: str = "native",
    rows: int | None = None,
    native: Path | None = None,
    size: tuple[int, int] = (8, 6),
    skip: Callable[[str], bool] = lambda name: False,
) -> Path:
    """Lay out a data set under ``root`` and return the set's folder.

    Args:
        name: canonical name.
        root: folder to build in; made if need be.
        layout: one of ``LAYOUTS[name]``.
        rows: how many rows (at least 3), the first, the last two and others by chance; None for
            all.
        native: folder of the publishers' score files; None to invent scores.
        size: of the one picture, ``(width, height)``.
        skip: names of pictures to leave out.
    """
    assert layout in LAYOUTS[name], (name, layout)
    table = rows_of(name, rows=rows, native=native)
    folder = root / name.lower()
    folder.mkdir(parents=True, exist_ok=True)
    whole = native if rows is None else None
    _SCORES[name](folder, layout, table, whole)
    stamp = _Stamp(folder.parent, size)
    for picture in dict.fromkeys(table["name"]):
        if not skip(picture):
            for place in _places(name, layout, picture):
                stamp.put(folder / place)
    for extra in _extras(name, layout, table):
        stamp.put(folder / extra)
    return folder


def rows_of(name: str, *, rows: int | None = None, native: Path | None = None) -> pd.DataFrame:
    """``name``, ``mos`` and ``std`` of a set, in the publisher's order and units."""
    table = real_rows(name, native) if native is not None else None
    if table is None:
        table = _invented(name)
    if rows is not None and rows < len(table):
        middle = 1 + np.random.default_rng(rows).permutation(len(table) - 3)[: rows - 3]
        table = table.iloc[[0, *sorted(middle), len(table) - 2, len(table) - 1]]
    return table.reset_index(drop=True)


class _Stamp:
    """Puts one picture of a kind in many places."""

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        self.folder, self.size, self.made = folder / ".stamps", size, set[str]()

    def put(self, path: Path) -> None:
        kind = path.suffix.lower()
        master = self.folder / f"{self.size[0]}x{self.size[1]}{kind}"
        if kind not in self.made and not master.exists():
            self.folder.mkdir(exist_ok=True)
            x, y = np.meshgrid(*map(np.arange, self.size))
            pixels = np.stack([x % 256, y % 256, (x + y) // 4 % 256], axis=-1)
            Image.fromarray(pixels.astype(np.uint8)).save(master)
        self.made.add(kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(master, path)


def _places(name: str, layout: str, picture: str) -> list[str]:
    if name == "livec":
        if layout == "flat":
            return [picture]
        nest = "ChallengeDB_release/" if layout == "double" else ""
        training = "trainingImages/" if picture.startswith("t") else ""
        return [f"{nest}Images/{training}{picture}"]
    if name == "AGIQA-3k":
        return [picture if layout == "native" else f"AGIQA-3K/{picture}"]
    if name == "AGIQA-1k":
        return [picture if layout == "flat" else f"file/{picture}"]
    if name == "SPAQ":
        return [f"Dataset/TestImage/{picture}" if layout == "dataset" else f"TestImage/{picture}"]
    if name == "CSIQ":
        token = picture.split(".")[-3]
        folder = {"native": token.lower(), "root": token.lower(), "waterloo": token}.get(layout)
        top = {"flat": "dst_imgs_all", "root": ""}.get(layout, "dst_imgs")
        return ["/".join(part for part in (top, folder, picture) if part)]
    if name == "TID2013":
        shown = picture.lower() if layout == "lower" else picture.replace("_1.BMP", "_1.bmp")
        return [f"{'tid2013/' if layout == 'nested' else ''}distorted_images/{shown}"]
    if name == "kadid":
        return [f"{'kadid10k/' if layout == 'nested' else ''}images/{picture}"]
    if name == "koniq":
        return [f"1024x768/{picture}", f"512x384/{picture}"]
    if layout == "merged":
        return [f"Dist_Imgs/{picture}"]
    if picture[6:8] == "10":
        return [f"NTIRE2021_Valid_Dis/{picture}"]
    quarter = 1 + int(np.searchsorted([59, 120, 184], int(picture[1:5])))
    return [f"Distortion_{quarter}/{picture}"]


def _extras(name: str, layout: str, table: pd.DataFrame) -> list[str]:
    """References and other pictures that have no score."""
    stems = table["name"]
    if name == "CSIQ":
        top = "" if layout == "root" else "src_imgs/"
        return [f"{top}{ref}.png" for ref in dict.fromkeys(n.rsplit(".", 3)[0] for n in stems)]
    if name == "TID2013":
        top = "tid2013/" if layout == "nested" else ""
        return [
            f"{top}reference_images/{ref}.BMP" for ref in sorted({n[:3].upper() for n in stems})
        ]
    if name == "kadid":
        top = "kadid10k/" if layout == "nested" else ""
        return [f"{top}images/{ref}.png" for ref in sorted({n[:3] for n in stems})]
    if name == "PIPAL":
        return [f"Train_Ref/{ref}.bmp" for ref in sorted({n[:5] for n in stems})]
    return []


def _invented(name: str) -> pd.DataFrame:
    names = _NAMES[name]()
    noise = np.random.default_rng(COUNTS[name]).random(len(names))
    low, high = {
        "livec": (3, 93),
        "SPAQ": (2, 96),
        "CSIQ": (0, 1),
        "TID2013": (0.3, 7.2),
        "kadid": (1, 4.9),
        "koniq": (1, 5),
        "PIPAL": (917, 1835),
    }.get(name, (0, 5))
    quality = noise
    if name in ("CSIQ", "TID2013", "kadid"):
        level = np.array([int(n.rpartition(".")[0][-1]) for n in names])
        quality = (5 - level) / 5 + 0.2 * noise
        quality = 1 - quality if name == "CSIQ" else quality
    mos = np.round(low + (high - low) * quality, 4)
    return pd.DataFrame({"name": names, "mos": mos, "std": np.round(0.1 + noise, 4)})


def real_rows(name: str, native: Path) -> pd.DataFrame | None:
    """The publishers' numbers, read as plainly as can be; None where there are none."""
    if name == "livec":
        data = native.parent / "real_mos/CLIVE/ChallengeDB_release/Data"
        if not data.is_dir():
            return None
        images = loadmat(data / "AllImages_release.mat")["AllImages_release"]
        mos = loadmat(data / "AllMOS_release.mat")["AllMOS_release"][0]
        std = loadmat(data / "AllStdDev_release.mat")["AllStdDev_release"][0]
        names = [row[0][0] for row in images]
        return pd.DataFrame({"name": names, "mos": mos, "std": std})
    if name == "AGIQA-3k":
        table = pd.read_csv(native / "agiqa3k_data.csv")
        return table[["name", "mos_quality", "std_quality"]].set_axis(
            ["name", "mos", "std"], axis=1
        )
    if name == "AGIQA-1k":
        table = pd.read_excel(native / "AIGC_MOS_Zscore.xlsx")
        return pd.DataFrame({"name": table["Image"], "mos": table["MOS"], "std": np.nan})
    if name == "SPAQ":
        table = pd.read_excel(native / "SPAQ/Annotations/MOS and Image attribute scores.xlsx")
        return pd.DataFrame({"name": table["Image name"], "mos": table["MOS"], "std": 1.0})
    if name == "CSIQ":
        table = pd.read_csv(native / "csiq_label.txt", sep=" ", names=["name", "mos"])
        return table.assign(std=0.1)
    if name == "TID2013":
        table = pd.read_csv(native / "tid2013_mos_with_names.txt", sep=" ", names=["mos", "name"])
        return table.assign(std=0.1)
    if name == "koniq":
        table = pd.read_csv(native / "koniq10k_distributions_sets.csv")
        return table.rename(columns={"image_name": "name", "MOS": "z", "SD": "std"})
    if name == "PIPAL":
        lists = [native / "pipal22_train.txt", native / "pipal21_val.txt"]
        parts = [pd.read_csv(f, names=["name", "mos"], skipinitialspace=True) for f in lists]
        return pd.concat(parts, ignore_index=True).assign(std=np.nan)
    return None


def _livec_names() -> list[str]:
    ids = sorted((f"{i}.bmp" if i % 2 else f"{i}.JPG") for i in range(3, 1165))
    return [*(f"t{i}.bmp" for i in range(1, 8)), *ids]


def _agiqa3k_names() -> list[str]:
    absent = {
        "midjourney_normal": {45, 83, 229, 238},
        "midjourney_lowstep": {45, 83, 229, 238},
        "DALLE2_normal": {8, 47, 58, 59, 67, 97, 147, 162, 238, 272},
    }
    modes = ["AttnGAN_normal", *absent, "glide_normal", "xl2.2_normal"]
    modes += [f"sd1.5_{mode}" for mode in ("normal", "lowcorr", "highcorr", "lowstep")]
    return [
        f"{m}_{i:03d}.jpg" for m in sorted(modes) for i in range(300) if i not in absent.get(m, ())
    ]


def _agiqa1k_names() -> list[str]:
    grids = {"deepai": (12, 15), "dreamStudio": (9, 10)}
    names = [
        f"{model}_{a}_{b}_{c}_{d}.jpg"
        for model, (first, second) in grids.items()
        for a in range(first)
        for b in range(second)
        for c in range(2)
        for d in range(2)
    ]
    names.remove("dreamStudio_8_5_0_0.jpg")
    return [*sorted(names), "dreamStudio_8_9_1_1.jpg"]


def _csiq_names() -> list[str]:
    refs = ["1600", "log_seaside", *(f"ref_{i:02d}" for i in range(28))]
    return [
        f"{ref}.{token}.{level}.png"
        for i, ref in enumerate(refs)
        for token in CSIQ_TOKENS
        for level in range(1, (5 if i < 26 else 4) if token == "contrast" else 6)
    ]


def _tid2013_names() -> list[str]:
    names = []
    for ref in range(1, 26):
        for kind in range(1, 25):
            for level in range(1, 6):
                stem = f"{ref:02d}_{kind:02d}_{level}"
                odd = {1: f"I{stem}.bmp", 11: f"I{stem}.BMP", 13: f"I{stem}.BMP"}
                names.append(odd.get(kind, f"i{stem}.bmp") if level == 1 else f"i{stem}.bmp")
    return names


def _kadid_names() -> list[str]:
    return [
        f"I{ref:02d}_{kind:02d}_{level:02d}.png"
        for ref in range(1, 82)
        for kind in range(1, 26)
        for level in range(1, 6)
    ]


def _pipal_names() -> list[str]:
    refs = [ref for ref in range(1, 251) if ref % 5]
    train = [
        f"A{ref:04d}_{group}_{i:02d}.bmp"
        for ref in refs
        for group, count in PIPAL_GROUPS.items()
        for i in range(count)
    ]
    rest = [ref for ref in range(1, 251) if not ref % 5][:25]
    return [*train, *(f"A{ref:04d}_10_{i:02d}.bmp" for ref in rest for i in range(40))]


_NAMES: dict[str, Callable[[], list[str]]] = {
    "livec": _livec_names,
    "AGIQA-3k": _agiqa3k_names,
    "AGIQA-1k": _agiqa1k_names,
    "SPAQ": lambda: [f"{i:05d}.jpg" for i in range(1, 11126)],
    "CSIQ": _csiq_names,
    "TID2013": _tid2013_names,
    "kadid": _kadid_names,
    "koniq": lambda: sorted(f"{2_000_000 + 997 * i}.jpg" for i in range(10073)),
    "PIPAL": _pipal_names,
}


def koniq_votes(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Counts of the five grades and their sum, invented where the table has none."""
    if "c_total" in table:
        total = table["c_total"].to_numpy()
        fractions = table[[f"c{i}" for i in range(1, 6)]].to_numpy()
        return np.rint(fractions * total[:, None]).astype(int), total
    share = (table["mos"].to_numpy() - 1) / 4
    total = np.full(len(table), 104)
    high = np.rint(share * total).astype(int)
    counts = np.zeros((len(table), 5), dtype=int)
    counts[:, 0], counts[:, 4] = total - high, high
    return counts, total


def _write_livec(folder: Path, layout: str, table: pd.DataFrame, native: Path | None) -> None:
    data = folder if layout == "flat" else folder / "Data"
    data.mkdir(exist_ok=True)
    cells = np.empty((len(table), 1), dtype=object)
    cells[:, 0] = [np.array([name]) for name in table["name"]]
    savemat(data / "AllImages_release.mat", {"AllImages_release": cells})
    for variable, column in (("AllMOS_release", "mos"), ("AllStdDev_release", "std")):
        savemat(data / f"{variable}.mat", {variable: table[column].to_numpy()[None]})


def _write_agiqa3k(folder: Path, layout: str, table: pd.DataFrame, native: Path | None) -> None:
    if native is not None:
        shutil.copyfile(native / "agiqa3k_data.csv", folder / "data.csv")
        return
    frame = pd.DataFrame({"name": table["name"], "prompt": "a man, oil, detailed"})
    for column in ("adj1", "adj2", "style"):
        frame[column] = ""
    frame["mos_quality"], frame["std_quality"] = table["mos"], table["std"]
    frame["mos_align"], frame["std_align"] = 5 - table["mos"], table["std"]
    frame.to_csv(folder / "data.csv", index=False, lineterminator="\r\n")


def _write_agiqa1k(folder: Path, layout: str, table: pd.DataFrame, native: Path | None) -> None:
    if native is not None:
        shutil.copyfile(native / "AIGC_MOS_Zscore.xlsx", folder / "AIGC_MOS_Zscore.xlsx")
        shutil.copyfile(native / "AIGC_all.csv", folder / "AIGC_all.csv")
        return
    frame = pd.DataFrame({"Image": table["name"], "Prompt": "bird, wild", "MOS": table["mos"]})
    frame.to_excel(folder / "AIGC_MOS_Zscore.xlsx", index=False)
    raw = frame.rename(columns={"MOS": "Score"})[["Image", "Score"]]
    raw["Image"] = raw["Image"].mask(raw.index == 1, "dreamStudio_8_9_1_.jpg")
    raw.drop_duplicates("Image").iloc[::-1].to_csv(folder / "AIGC_all.csv", index=False)


def _write_spaq(folder: Path, layout: str, table: pd.DataFrame, native: Path | None) -> None:
    place = folder / ("Dataset/Annotations" if layout == "dataset" else "Annotations")
    place.mkdir(parents=True)
    if native is not None and layout != "std":
        for book in (native / "SPAQ/Annotations").glob("MOS*.xlsx"):
            shutil.copyfile(book, place / book.name)
        return
    frame = pd.DataFrame({"Image name": table["name"], "MOS": table["mos"]})
    if layout == "std":
        frame["MOS std"] = table["std"]
    frame["Brightness"] = 50.0
    title = "MOS Std and Image" if layout == "std" else "MOS and Image"
    frame.to_excel(place / f"{title} attribute scores.xlsx", index=False)


def _write_csiq(folder: Path, layout: str, table: pd.DataFrame, native: Path | None) -> None:
    if layout in ("waterloo", "flat"):
        lines = [f"{n} {m:.6f}" for n, m in zip(table["name"], table["mos"], strict=True)]
        (folder / "csiq_label.txt").write_text("\n".join(lines) + "\n")
        return
    book = openpyxl.Workbook()
    book.active.title = "by_distortion"
    book.active["A1"] = "#REF!"
    sheet = book.create_sheet("all_by_image")
    header = ["image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"]
    for column, title in enumerate(header, start=4):
        sheet.cell(4, column, title)
    for i, row in enumerate(table.itertuples(), start=5):
        ref, token, level, _ = row.name.rsplit(".", 3)
        index = list(CSIQ_TOKENS).index(token) + 1
        values = [int(ref) if ref.isdecimal() else ref, index, CSIQ_TOKENS[token], int(level)]
        for column, value in enumerate([*values, row.std, row.mos], start=4):
            sheet.cell(i, column, value)
    sheet.cell(len(table) + 9, 1, " ")
    book.save(folder / "csiq.DMOS.xlsx")


def _write_tid2013(folder: Path, layout: str, table: pd.DataFrame, native: Path | None) -> None:
    top = folder / "tid2013" if layout == "nested" else folder
    top.mkdir(exist_ok=True)
    if native is not None:
        shutil.copyfile(native / "tid2013_mos_with_names.txt", top / "mos_with_names.txt")
    else:
        lines = [f"{m:.5f} {n}" for n, m in zip(table["name"], table["mos"], strict=True)]
        (top / "mos_with_names.txt").write_text("\n".join(lines) + "\n")
    (top / "mos_std.txt").write_text("".join(f"{s:.5f}\n" for s in table["std"]))


def _write_kadid(folder: Path, layout: str, table: pd.DataFrame, native: Path | None) -> None:
    top = folder / "kadid10k" if layout == "nested" else folder
    top.mkdir(exist_ok=True)
    frame = pd.DataFrame({"dist_img": table["name"], "ref_img": table["name"].str[:3] + ".png"})
    frame["dmos"], frame["var"] = table["mos"], table["std"]
    frame.to_csv(top / "dmos.csv", index=False)
    (top / "generate.sh").write_text("#!/bin/sh\n")


def _write_koniq(folder: Path, layout: str, table: pd.DataFrame, native: Path | None) -> None:
    counts, total = koniq_votes(table)
    points = counts @ np.arange(1, 6) / total
    z = table["z"] if "z" in table else (points - 1) * 25
    names, votes = table["name"], [f"c{i}" for i in range(1, 6)]
    if layout in ("native", "both"):
        frame = pd.DataFrame({"image_name": names, **dict(zip(votes, counts.T, strict=True))})
        frame = frame.assign(c_total=total, MOS=points, SD=table["std"], MOS_zscore=z)
        frame.to_csv(folder / "koniq10k_scores_and_distributions.csv", index=False, quoting=2)
    if layout in ("sets", "both"):
        target = folder / "koniq10k_distributions_sets.csv"
        if native is not None:
            shutil.copyfile(native / target.name, target)
            return
        shares = (counts / total[:, None]).T
        frame = pd.DataFrame({"image_name": names, **dict(zip(votes, shares, strict=True))})
        frame = frame.assign(c_total=total, MOS=z, SD=table["std"])
        frame["set"] = np.resize(["training", "training", "validation", "test"], len(frame))
        frame.to_csv(target, index=False, float_format="%.12g")


def _write_pipal(folder: Path, layout: str, table: pd.DataFrame, native: Path | None) -> None:
    val = table["name"].str[6:8] == "10"
    parts = {"pipal22_train.txt": table[~val], "pipal21_val.txt": table[val]}
    for file, part in parts.items():
        if layout == "merged" or file == "pipal21_val.txt":
            lines = [f"{n}, {m:.4f}" for n, m in zip(part["name"], part["mos"], strict=True)]
            (folder / file).write_text("\n".join(lines) + "\n")
    if layout == "merged":
        return
    labels = folder / ("Train_Label/Train_Label" if layout == "double" else "Train_Label")
    labels.mkdir(parents=True)
    for ref, part in table[~val].groupby(table["name"].str[:5]):
        lines = [f"{n},{m:.4f}" for n, m in zip(part["name"], part["mos"], strict=True)]
        (labels / f"{ref}.txt").write_text("\n".join(lines) + "\n")


_SCORES: dict[str, Callable[[Path, str, pd.DataFrame, Path | None], None]] = {
    "livec": _write_livec,
    "AGIQA-3k": _write_agiqa3k,
    "AGIQA-1k": _write_agiqa1k,
    "SPAQ": _write_spaq,
    "CSIQ": _write_csiq,
    "TID2013": _write_tid2013,
    "kadid": _write_kadid,
    "koniq": _write_koniq,
    "PIPAL": _write_pipal,
}
