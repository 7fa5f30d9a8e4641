"""How each of the nine data sets is shipped: names, places and score files, a class a publisher."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat, savemat

PUBLISHERS: dict[str, "Publisher"] = {}


class Publisher:
    """How one set is shipped, in ``layouts`` of which the first is the publisher's.

    Each has ``names()`` of all pictures with a score, in its order, and ``write(folder, layout,
    table)`` of the score files. ``scores`` is the range of invented ones; ``levels`` is 1
    where a higher distortion level has a higher score, -1 where a lower one; ``pictures`` is their
    folder, below that of the layout in ``nest``.
    """

    layouts: tuple[str, ...]
    size: tuple[int, int] | None = None
    scores: tuple[float, float] = (0, 5)
    levels = 0
    pictures = ""
    nest = ("", "")

    def __init_subclass__(cls, name: str):
        PUBLISHERS[name] = cls()

    def inside(self, layout: str) -> str:
        return self.nest[1] if layout == self.nest[0] else ""

    def places(self, layout: str, picture: str) -> list[str]:
        """Where a picture lies below the set's folder."""
        return [f"{self.inside(layout)}{self.pictures}{picture}"]

    def extras(self, layout: str, names: Sequence[str]) -> list[str]:
        """References and other pictures that have no score."""
        return []

    def real(self, native: Path) -> pd.DataFrame | None:
        """The publisher's own rows, read as plainly as can be; None where there are none."""
        return None


def _write_lines(path: Path, template: str, table: pd.DataFrame) -> None:
    rows = table.to_dict("records")
    path.write_text("".join(template.format(**row) + "\n" for row in rows))


CLIVE = {"AllImages_release": "name", "AllMOS_release": "mos", "AllStdDev_release": "std"}


class Livec(Publisher, name="livec"):
    layouts = ("native", "flat", "double")
    size = (500, 500)
    scores = (3, 93)

    def names(self):
        ids = sorted((f"{i}.bmp" if i % 2 else f"{i}.JPG") for i in range(3, 1165))
        return [*(f"t{i}.bmp" for i in range(1, 8)), *ids]

    def places(self, layout, picture):
        if layout == "flat":
            return [picture]
        nest = "ChallengeDB_release/" if layout == "double" else ""
        training = "trainingImages/" if picture.startswith("t") else ""
        return [f"{nest}Images/{training}{picture}"]

    def write(self, folder, layout, table):
        data = folder if layout == "flat" else folder / "Data"
        data.mkdir(exist_ok=True)
        for variable, column in CLIVE.items():
            savemat(data / f"{variable}.mat", {variable: table[column].to_numpy()[None]})

    def real(self, native):
        data = native.parent / "real_mos/CLIVE/ChallengeDB_release/Data"
        if not data.is_dir():
            return None
        held = {name: loadmat(f"{data}/{name}", squeeze_me=True)[name] for name in CLIVE}
        return pd.DataFrame(held).rename(columns=CLIVE)


class Agiqa3k(Publisher, name="AGIQA-3k"):
    layouts = ("native", "nested")
    nest = ("nested", "AGIQA-3K/")

    def names(self):
        generators = ("AttnGAN", "DALLE2", "glide", "midjourney", "sd1.5", "xl2.2")
        modes = [*(f"{generator}_normal" for generator in generators), "midjourney_lowstep"]
        modes += [f"sd1.5_{mode}" for mode in ("lowcorr", "highcorr", "lowstep")]
        return [f"{mode}_{i:03d}.jpg" for mode in modes for i in range(300)][:2982]

    def write(self, folder, layout, table):
        frame = table.rename(columns={"mos": "mos_quality", "std": "std_quality"})
        frame = frame.assign(mos_align=5 - table["mos"], std_align=table["std"])
        frame.insert(1, "prompt", "a man, oil, detailed")
        frame.insert(2, "style", "")
        frame.to_csv(folder / "data.csv", index=False, lineterminator="\r\n")

    def real(self, native):
        table = pd.read_csv(native / "agiqa3k_data.csv")[["name", "mos_quality", "std_quality"]]
        return table.set_axis(["name", "mos", "std"], axis=1)


class Agiqa1k(Publisher, name="AGIQA-1k"):
    layouts = ("native", "flat")
    nest = ("native", "file/")

    def names(self):
        names = [
            f"{model}_{a}_{b}_{c}_{d}.jpg"
            for model, first, second in (("deepai", 12, 15), ("dreamStudio", 9, 10))
            for a, b, c, d in product(range(first), range(second), range(2), range(2))
        ]
        names.remove("dreamStudio_8_5_0_0.jpg")
        return [*sorted(names), "dreamStudio_8_9_1_1.jpg"]

    def write(self, folder, layout, table):
        frame = pd.DataFrame({"Image": table["name"], "Prompt": "bird, wild", "MOS": table["mos"]})
        frame.to_excel(folder / "AIGC_MOS_Zscore.xlsx", index=False)
        raw = frame.rename(columns={"MOS": "Score"})[["Image", "Score"]]
        raw["Image"] = raw["Image"].mask(raw.index == 1, "dreamStudio_8_9_1_.jpg")
        raw.drop_duplicates("Image").iloc[::-1].to_csv(folder / "AIGC_all.csv", index=False)

    def real(self, native):
        table = pd.read_excel(native / "AIGC_MOS_Zscore.xlsx")
        return pd.DataFrame({"name": table["Image"], "mos": table["MOS"], "std": np.nan})


class Spaq(Publisher, name="SPAQ"):
    layouts = ("native", "dataset", "std")
    scores = (2, 96)
    pictures = "TestImage/"
    nest = ("dataset", "Dataset/")

    def names(self):
        return [f"{i:05d}.jpg" for i in range(1, 11126)]

    def write(self, folder, layout, table):
        place = folder / self.inside(layout) / "Annotations"
        place.mkdir()
        frame = pd.DataFrame({"Image name": table["name"], "MOS": table["mos"]})
        if layout == "std":
            frame["MOS std"] = table["std"]
        frame["Brightness"] = 50.0
        title = "MOS Std and Image" if layout == "std" else "MOS and Image"
        frame.to_excel(place / f"{title} attribute scores.xlsx", index=False)

    def real(self, native):
        table = pd.read_excel(native / "SPAQ/Annotations/MOS and Image attribute scores.xlsx")
        return pd.DataFrame({"name": table["Image name"], "mos": table["MOS"], "std": 1.0})


CSIQ_TOKENS = {"AWGN": "noise", "BLUR": "blur", "contrast": "contrast", "fnoise": "fnoise"}
CSIQ_TOKENS |= {"JPEG": "jpeg", "jpeg2000": "jpeg 2000"}


class Csiq(Publisher, name="CSIQ"):
    layouts = ("native", "waterloo", "flat", "root")
    size = (512, 512)
    scores = (0, 1)
    levels = 1

    def names(self):
        refs = ["1600", "log_seaside", *(f"ref_{i:02d}" for i in range(28))]
        return [
            f"{ref}.{token}.{level}.png"
            for i, ref in enumerate(refs)
            for token in CSIQ_TOKENS
            for level in range(1, (5 if i < 26 else 4) if token == "contrast" else 6)
        ]

    def places(self, layout, picture):
        token = picture.split(".")[-3]
        folder = {"native": token.lower(), "root": token.lower(), "waterloo": token}.get(layout)
        top = {"flat": "dst_imgs_all", "root": ""}.get(layout, "dst_imgs")
        return ["/".join(part for part in (top, folder, picture) if part)]

    def extras(self, layout, names):
        top = "" if layout == "root" else "src_imgs/"
        return [f"{top}{ref}.png" for ref in dict.fromkeys(n.rsplit(".", 3)[0] for n in names)]

    def write(self, folder, layout, table):
        if layout in ("waterloo", "flat"):
            _write_lines(folder / "csiq_label.txt", "{name} {mos:.6f}", table)
            return
        rows = [
            (int(ref) if ref.isdecimal() else ref, CSIQ_TOKENS[token], int(level))
            for ref, token, level, _ in table["name"].str.rsplit(".", n=3)
        ]
        frame = pd.DataFrame(rows, columns=["image", "dst_type", "dst_lev"])
        frame = frame.assign(dmos_std=table["std"], dmos=table["mos"])
        with pd.ExcelWriter(folder / "csiq.DMOS.xlsx") as book:
            pd.Series(["#REF!"]).to_excel(book, sheet_name="by_distortion", index=False)
            frame.to_excel(book, sheet_name="all_by_image", startrow=3, startcol=3, index=False)
            book.sheets["all_by_image"].cell(len(table) + 9, 1, " ")

    def real(self, native):
        table = pd.read_csv(native / "csiq_label.txt", sep=" ", names=["name", "mos"])
        return table.assign(std=0.1)


class Tid2013(Publisher, name="TID2013"):
    layouts = ("native", "lower", "nested")
    pictures = "distorted_images/"
    nest = ("nested", "tid2013/")
    size = (512, 384)
    scores = (0.3, 7.2)
    levels = -1

    def names(self):
        names = []
        for ref, kind, level in product(range(1, 26), range(1, 25), range(1, 6)):
            stem = f"{ref:02d}_{kind:02d}_{level}"
            odd = {1: f"I{stem}.bmp", 11: f"I{stem}.BMP", 13: f"I{stem}.BMP"}
            names.append(odd.get(kind, f"i{stem}.bmp") if level == 1 else f"i{stem}.bmp")
        return names

    def places(self, layout, picture):
        shown = picture.lower() if layout == "lower" else picture.replace("_1.BMP", "_1.bmp")
        return super().places(layout, shown)

    def extras(self, layout, names):
        refs = sorted({name[:3].upper() for name in names})
        return [f"{self.inside(layout)}reference_images/{ref}.BMP" for ref in refs]

    def write(self, folder, layout, table):
        top = folder / self.inside(layout)
        _write_lines(top / "mos_with_names.txt", "{mos:.5f} {name}", table)
        _write_lines(top / "mos_std.txt", "{std:.5f}", table)

    def real(self, native):
        table = pd.read_csv(native / "tid2013_mos_with_names.txt", sep=" ", names=["mos", "name"])
        return table.assign(std=0.1)


class Kadid(Publisher, name="kadid"):
    layouts = ("native", "nested")
    pictures = "images/"
    nest = ("nested", "kadid10k/")
    size = (512, 384)
    scores = (1, 4.9)
    levels = -1

    def names(self):
        every = product(range(1, 82), range(1, 26), range(1, 6))
        return [f"I{ref:02d}_{kind:02d}_{level:02d}.png" for ref, kind, level in every]

    def extras(self, layout, names):
        return [self.places(layout, f"{ref}.png")[0] for ref in sorted({n[:3] for n in names})]

    def write(self, folder, layout, table):
        frame = table.set_axis(["dist_img", "dmos", "var"], axis=1)
        frame.insert(1, "ref_img", table["name"].str[:3] + ".png")
        frame.to_csv(folder / self.inside(layout) / "dmos.csv", index=False)


VOTES = [f"c{grade}" for grade in range(1, 6)]


def koniq_votes(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Counts of the five grades and their sum, invented where the table has none."""
    if "c_total" in table:
        total = table["c_total"].to_numpy()
        return np.rint(table[VOTES].to_numpy() * total[:, None]).astype(int), total
    counts = np.zeros((len(table), 5), dtype=int)
    counts[:, 4] = np.rint(26 * (table["mos"] - 1))
    counts[:, 0] = 104 - counts[:, 4]
    return counts, counts.sum(axis=1)


class Koniq(Publisher, name="koniq"):
    layouts = ("native", "sets", "both")
    size = (1024, 768)
    scores = (1, 5)

    def names(self):
        return sorted(f"{2_000_000 + 997 * i}.jpg" for i in range(10073))

    def places(self, layout, picture):
        return [f"1024x768/{picture}", f"512x384/{picture}"]

    def write(self, folder, layout, table):
        counts, total = koniq_votes(table)
        points = counts @ np.arange(1, 6) / total
        z = table["z"] if "z" in table else (points - 1) * 25
        frame = pd.DataFrame(counts, columns=VOTES).assign(c_total=total, SD=table["std"])
        frame.insert(0, "image_name", table["name"])
        if layout in ("native", "both"):
            file = folder / "koniq10k_scores_and_distributions.csv"
            frame.assign(MOS=points, MOS_zscore=z).to_csv(file, index=False, quoting=2)
        if layout in ("sets", "both"):
            frame[VOTES] = frame[VOTES].div(total, axis=0)
            frame["set"] = np.resize(["training", "training", "validation", "test"], len(frame))
            file = folder / "koniq10k_distributions_sets.csv"
            frame.assign(MOS=z).to_csv(file, index=False, float_format="%.12g")

    def real(self, native):
        table = pd.read_csv(native / "koniq10k_distributions_sets.csv")
        return table.rename(columns={"image_name": "name", "MOS": "z", "SD": "std"})


class Pipal(Publisher, name="PIPAL"):
    layouts = ("native", "double", "merged")
    size = (288, 288)
    scores = (917, 1835)

    def names(self):
        groups = {"00": 12, "01": 16, "02": 10, "03": 24, "04": 13, "05": 14, "06": 27}
        train = [
            f"A{ref:04d}_{group}_{i:02d}.bmp"
            for ref in range(1, 251)
            if ref % 5
            for group, count in groups.items()
            for i in range(count)
        ]
        rest = range(5, 130, 5)
        return [*train, *(f"A{ref:04d}_10_{i:02d}.bmp" for ref in rest for i in range(40))]

    def places(self, layout, picture):
        if layout == "merged":
            return [f"Dist_Imgs/{picture}"]
        if picture[6:8] == "10":
            return [f"NTIRE2021_Valid_Dis/{picture}"]
        quarter = 1 + int(np.searchsorted([59, 120, 184], int(picture[1:5])))
        return [f"Distortion_{quarter}/{picture}"]

    def extras(self, layout, names):
        return [f"Train_Ref/{ref}.bmp" for ref in sorted({name[:5] for name in names})]

    def write(self, folder, layout, table):
        val = table["name"].str[6:8] == "10"
        _write_lines(folder / "pipal21_val.txt", "{name}, {mos:.4f}", table[val])
        if layout == "merged":
            _write_lines(folder / "pipal22_train.txt", "{name}, {mos:.4f}", table[~val])
            return
        labels = folder / ("Train_Label/Train_Label" if layout == "double" else "Train_Label")
        labels.mkdir(parents=True)
        for ref, part in table[~val].groupby(table["name"].str[:5]):
            _write_lines(labels / f"{ref}.txt", "{name},{mos:.4f}", part)

    def real(self, native):
        lists = [native / "pipal22_train.txt", native / "pipal21_val.txt"]
        parts = [pd.read_csv(f, names=["name", "mos"], skipinitialspace=True) for f in lists]
        return pd.concat(parts, ignore_index=True).assign(std=np.nan)
