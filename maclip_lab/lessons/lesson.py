"""A notebook's one line of set-up: scorer, rated sets, checks, claims, exercises, files, style."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from importlib.util import module_from_spec, spec_from_file_location
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from maclip_lab.ablations.claims import find_sets
from maclip_lab.ablations.rated import Rated
from maclip_lab.evaluation import Estimate, EvaluationSettings
from maclip_lab.features import Features
from maclip_lab.features.packs import SEVERITY, open_pack, shipped_pack, write_pack
from maclip_lab.files.identity import data_path
from maclip_lab.lessons.dataset import extract, open_crops_and_whole, open_pictures
from maclip_lab.lessons.explorer import Explorer
from maclip_lab.lessons.matrix import Cell, Claim, Direction, Matrix
from maclip_lab.lessons.outputs import Outputs
from maclip_lab.lessons.verdicts import Prediction, Verdict
from maclip_lab.plots.style import PALETTE, backbone_label, palette, set_house_style
from maclip_lab.score import TextAnchors
from maclip_lab.scorer import Maclip
from maclip_lab.weights.names import UNTRAINED

BACKBONES = ("tiny-rn", "tiny-vit")
SETS = {"CLIVE": "clive-part", "BIQ2021": "biq2021-part", "severity": SEVERITY}
"""The three shipped sets, as a notebook calls them, and as `open_dataset` does."""
PHOTOS = "photos"
"""What notebooks name that look at pictures one by one: those that ship with the project."""
N_BOOT = 2000
_TWINS = 3
_SYNTHETIC = "synthetic"  # what severity is made of, for a backbone that has no pack of it


@cache
def judges() -> Mapping[str, Callable[[Any, "Lesson"], object]]:
    """What exercises are judged by, out of a reader's sight: it lies beside the solutions.

    Raises:
        FileNotFoundError: a notebook was moved away from its solutions.
    """
    beside = Path("solutions", "judges.py"), Path("judges.py")
    checkout = data_path().parent / "notebooks" / "solutions" / "judges.py"
    file = next((path for path in (*beside, checkout) if path.is_file()), None)
    if file is None:
        raise FileNotFoundError("exercises are judged by solutions/judges.py, which is not here")
    spec = spec_from_file_location("judges", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    table: Mapping[str, Callable[[Any, Lesson], object]] = module.JUDGES
    return table


class Cells(Mapping[Cell, Rated]):
    """Rated sets by backbone and name, each opened when it is first asked for."""

    def __init__(self, open_cell: Mapping[Cell, Callable[[], Rated]]) -> None:
        self._open_cell, self._opened = open_cell, dict[Cell, Rated]()

    def __getitem__(self, cell: Cell) -> Rated:
        if cell not in self._opened:
            self._opened[cell] = self._open_cell[cell]()
        return self._opened[cell]

    def __contains__(self, cell: object) -> bool:
        return cell in self._open_cell

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._open_cell)

    def __len__(self) -> int:
        return len(self._open_cell)

    def __repr__(self) -> str:
        return "\n".join(f"{backbone} on {name}" for backbone, name in self)


class Lesson:
    """What a notebook works with, from its parameters.

    Args:
        number: of the notebook, such as ``"04"``.
        backbone: as `Maclip` takes it.
        dataset: ``"clive-part"``, ``"biq2021-part"``, or as `open_dataset` takes it.
        root: folder of the data set.
        seed: of every bootstrap.
        n_boot: resamples of every bootstrap.
        n_pictures: of the data set asked for, at most so many; None for all.
        device: as `Maclip` takes it.
        precision: as `Maclip` takes it.
        variant: of the data set.
        store: folder of the feature store; None for the one that all notebooks share.
        out: folder for every figure and table that the notebook shows; None for none.
        choices: further arguments of `open_dataset`, such as ``score_column``: ``CHOICES``.

    Attributes:
        cells: the shipped rated sets, ``{(backbone, set): Rated}``, each opened when first asked
            for; before them what the parameters ask for.
    """

    def __init__(
        self,
        number: str,
        backbone: str = BACKBONES[0],
        dataset: str = "clive-part",
        root: str | os.PathLike[str] | None = None,
        *,
        seed: int = 0,
        n_boot: int = N_BOOT,
        n_pictures: int | None = None,
        device: str = "auto",
        precision: str = "fp32",
        variant: str | None = None,
        store: str | os.PathLike[str] | None = None,
        out: str | os.PathLike[str] | None = None,
        **choices: Any,
    ) -> None:
        self.number, self.backbone = number, backbone_label(backbone)
        self._given, self._device, self._precision = backbone, device, precision
        self._statistics = EvaluationSettings(n_boot, seed)
        is_synthetic = dataset.lower() == _SYNTHETIC and root is None
        self._dataset, self._root, self._store = SEVERITY if is_synthetic else dataset, root, store
        self._choices = {"n_pictures": n_pictures, "variant": variant, **choices}
        self._claims: dict[str, Claim] = {}
        is_default = (seed, n_pictures, variant, precision) == (0, None, None, "fp32")
        is_shipped = backbone == BACKBONES[0] and dataset in ("clive-part", PHOTOS)
        self.shipped = is_default and is_shipped and root is None and n_boot == N_BOOT
        if not self.shipped:
            print("Titles and sentences of this notebook tell what its shipped parameters show.")
        set_house_style()
        PALETTE.update(palette(self._asked))
        self._out, self._outputs = out, Outputs(out, number)
        self.cells = Cells(self._plan())

    @cached_property
    def scorer(self) -> Maclip:
        """The backbone asked for, loaded when it is first needed."""
        return Maclip(self._given, device=self._device, precision=self._precision)

    @cached_property
    def pictures(self) -> list[Path]:
        """Pictures to look at one by one: of the folder or list asked for, else those shipped."""
        asked = "native" if self._dataset == PHOTOS else self._dataset
        return open_pictures(asked, self._root, **self._choices)[0]

    def paper_sets(self) -> tuple[dict[str, Rated], dict[str, str]]:
        """The paper's data sets below the root, and why some are left out.

        Each is seen by the backbone asked for, in the rows of the paper's list. Where the notebook
        writes files, its features are written as a pack.
        """
        if self._root is None:
            return {}, {}
        manifests, left_out = find_sets(self._root)
        rated = {}
        for name, manifest in manifests.items():
            crops, wholes = extract(manifest, self.scorer, self._store)
            rated[name] = self._rated(crops, wholes, self.scorer.anchors, (self.backbone, name))
            if self._out is not None:
                path = Path(self._out) / "packs" / f"{name}.{Path(self.backbone).stem}.safetensors"
                write_pack(path, crops, wholes, self.scorer)
        return rated, left_out

    @property
    def asked(self) -> Rated:
        """The data set asked for as the backbone asked for sees it."""
        return self.cells[self._asked]

    @cached_property
    def twins(self) -> Cells:
        """Networks of a cell's shape beside the cells, ``{(network, set): Rated}``.

        The untrained ones, ``tiny-rn-untrained-0`` and so on, are what a backbone shows before any
        training; others, ``tiny-rn-seed-0``, were trained like the shipped one and by another seed.
        The shipped packs hold fewer pictures and every second window. A backbone of one's own is
        joined by untrained networks of its shape.
        """
        plan: dict[Cell, Callable[[], Rated]] = {}
        for name, dataset in SETS.items():
            packs = sorted(data_path("packs").glob(f"{dataset}.*.safetensors"))
            networks = [path.name.split(".")[1] for path in packs]
            twins = [network for network in networks if network not in BACKBONES]
            plan |= {(twin, name): partial(self._open, twin, dataset) for twin in twins}
        if self.backbone not in BACKBONES:
            at_hand = [] if self._asked[1] in SETS else [self._asked[1]]  # a pack has no pictures
            for twin, name in product(range(_TWINS), [*at_hand, "severity"]):
                network = f"{self._given}{UNTRAINED}{twin}"
                cell = f"{self.backbone}{UNTRAINED}{twin}", name
                plan[cell] = partial(self._open_twin, network, cell)
        return Cells(plan)

    @cached_property
    def clean(self) -> Mapping[str, Rated]:
        """Sixty clean photographs and a harmed copy of each, as each embedded backbone sees them.

        ``dist_level`` of their ``table`` is 0 for the clean ones. Of a backbone of one's own there
        is no such pack: the twelve shipped photographs, clean and harmed, stand in.
        """
        packs = {name: open_pack(shipped_pack("clean", name)) for name in BACKBONES}
        clean = {
            name: self._rated(pack.crops, None, pack.anchors, (name, "BSDS500"))
            for name, pack in packs.items()
        }
        if self.backbone not in BACKBONES:
            clean[self.backbone] = self.cells[self.backbone, "severity"]
        return clean

    def check(self, holds: object, sentence: str) -> Verdict:
        """A sentence of the text, and whether it holds.

        Raises:
            AssertionError: it does not, with the parameters the notebook was written with.
        """
        if bool(holds):
            return Verdict(True, sentence)
        if self.shipped:
            raise AssertionError(f"does not hold: {sentence}")
        return Verdict(False, f"does not hold with these parameters: {sentence}")

    def identity(self, holds: object, sentence: str) -> Verdict:
        """A sentence that follows from the method, whatever the backbone.

        Raises:
            AssertionError: it does not hold, so there is a fault.
        """
        if not bool(holds):
            raise AssertionError(f"holds by construction, and does not: {sentence}")
        return Verdict(True, sentence, identity=True)

    def claim(
        self,
        statement: str,
        estimates: Mapping[Cell, Estimate],
        paper: Direction | None = None,
        note: str = "",
    ) -> None:
        """Adds a row to the matrix.

        Args:
            statement: a sentence that is true where the number is above zero.
            estimates: the number in each cell, usually a lead of one SRCC over another.
            paper: the sign that the paper reports; None where it says nothing.
            note: what a reader should know of this row.
        """
        self._claims[statement] = Claim(statement, estimates, paper, note)

    def matrix(self) -> Matrix:
        """All claims so far, judged together."""
        matrix = Matrix(tuple(self._claims.values()))
        self._outputs.table(matrix.table, "matrix")
        return matrix

    def predict(self, question: str, choices: Sequence[str]) -> Prediction:
        """A question to answer before looking; ``reveal(answer)`` compares."""
        return Prediction(question, choices)

    def exercise(self, number: str, answer: object) -> Verdict:
        """Whether an exercise's answer is right; never an error.

        Args:
            number: such as ``"04.2"``.
            answer: the reader's; None, or ``...``, while there is none.
        """
        if answer is None or answer is ...:
            return Verdict(None, "your turn")
        try:
            right = bool(judges()[number](answer, self))
        except Exception as error:  # the answer may be of any kind, and the judge may trip over it
            return Verdict(False, f"not yet: this cannot be judged ({error})")
        return Verdict(right, "correct" if right else "not yet; the solutions fold a hint away")

    def explorer(self) -> Explorer:
        """Sliders of the four constants over the cues of the set asked for, as a page."""
        return Explorer([self.asked])

    def keep(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table, which goes as CSV beside the next figure where the notebook writes files."""
        return self._outputs.keep(table)

    @property
    def _asked(self) -> Cell:
        titles = {dataset: name for name, dataset in SETS.items()}
        return self.backbone, titles.get(self._dataset.lower(), self._dataset.partition("=")[0])

    def _plan(self) -> dict[Cell, Callable[[], Rated]]:
        """How to open each cell: the six shipped ones, before them what is none of these."""
        plan = {
            (backbone, name): partial(self._open, backbone, dataset)
            for backbone, (name, dataset) in product(BACKBONES, SETS.items())
        }
        if self.backbone not in BACKBONES:
            plan = {(self.backbone, "severity"): partial(self._open, self._given, SEVERITY)} | plan
        return (
            plan | {self._asked: self._open_asked}
            if self._asked in plan
            else ({self._asked: self._open_asked} | plan)
        )

    def _open_asked(self) -> Rated:
        if self._dataset.lower() in SETS.values():
            return self._open(self._given, self._dataset.lower(), self._choices["n_pictures"])
        crops, wholes = open_crops_and_whole(
            self._dataset, self.scorer, self._root, store=self._store, **self._choices
        )
        return self._rated(crops, wholes, self.scorer.anchors, self._asked)

    def _open(self, backbone: str, dataset: str, n_pictures: int | None = None) -> Rated:
        """One of the shipped sets: from its pack where this backbone has one."""
        name = next(name for name, known in SETS.items() if known == dataset)
        if data_path("packs", f"{dataset}.{backbone}.safetensors").is_file():
            opened = open_pack(shipped_pack(dataset, backbone))
            crops, wholes, anchors = opened.crops, opened.whole, opened.anchors
        else:
            scorer = self.scorer if backbone == self._given else Maclip(backbone)
            made = _SYNTHETIC if dataset == SEVERITY else dataset
            crops, wholes = open_crops_and_whole(made, scorer, store=self._store)
            anchors = scorer.anchors
        if n_pictures is not None and n_pictures < len(crops):
            manifest = crops.manifest.sample(n_pictures)
            crops = crops.subset(manifest)
            wholes = None if wholes is None else wholes.subset(manifest)
        return self._rated(crops, wholes, anchors, (backbone_label(backbone), name))

    def _open_twin(self, network: str, cell: Cell) -> Rated:
        scorer = Maclip(network, device=self._device, precision=self._precision)
        is_asked = cell[1] == self._asked[1]
        dataset, root = (self._dataset, self._root) if is_asked else (SEVERITY, None)
        made = _SYNTHETIC if dataset == SEVERITY else dataset
        choices = self._choices if is_asked else {}
        crops, wholes = open_crops_and_whole(made, scorer, root, store=self._store, **choices)
        return self._rated(crops, wholes, scorer.anchors, cell)

    def _rated(
        self, crops: Features, wholes: Features | None, anchors: TextAnchors, cell: Cell
    ) -> Rated:
        backbone, name = cell
        return Rated(
            crops, anchors, wholes, name=name, backbone=backbone, statistics=self._statistics
        )
