"""Options that several commands share, one by one and in groups.

A command takes a group as one argument: a frozen dataclass whose fields are options. `grouped`
shows Typer the options and hands the command the dataclass.
"""

import functools
import inspect
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_type_hints

import typer

from maclip_lab.files.atomic import RECORD_SUFFIX, try_to_write
from maclip_lab.weights.names import parse_name, shape_and_seed

if TYPE_CHECKING:
    import pandas as pd

    from maclip_lab.datasets.manifest import Manifest
    from maclip_lab.features import Pack
    from maclip_lab.fusion import FusionSettings
    from maclip_lab.scorer import Maclip, ScoreConfig


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer takes it: each group of options spread out into its fields."""
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type] = {}
    for parameter in inspect.signature(command).parameters.values():
        group = hints[parameter.name]
        if not (isinstance(group, type) and is_dataclass(group)):
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        groups[parameter.name] = group
        kinds = get_type_hints(group, include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name, parameter.kind, default=field.default, annotation=kinds[field.name]
            )
            for field in fields(group)
        ]

    @functools.wraps(command)
    def spread(**given: object) -> None:
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**given, **made)

    spread.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread.__annotations__ = {one.name: one.annotation for one in parameters}
    return spread


def known_backbones(value: str | list[str] | None) -> str | list[str] | None:
    """The names as given, refused before any work is done where one of them means nothing.

    Raises:
        UnknownBackboneError: a name is no backbone's; the message has the nearest.
    """
    for name in [value] if isinstance(value, str) else value or ():
        parse_name(shape_and_seed(name)[0])
    return value


def in_options(message: str) -> str:
    """A message of the package in the command line's words: ``a_b="c"`` becomes ``--a-b c``."""

    def spelled(match: re.Match[str]) -> str:
        name, value = match["name"], match["value"].strip("\"'")
        if name in _SWITCHES:
            return _SWITCHES[name][value == "False"]
        return f"--{name.replace('_', '-')} {value}".removesuffix(" True").rstrip()

    message = message.replace("with annotations=", "with --annotations")
    return _KEYWORD.sub(spelled, message)


_SWITCHES = {
    "higher_is_better": ("--higher-is-better", "--lower-is-better"),
    "quick_gelu": ("--quick-gelu", "--gelu"),
}
_KEYWORD = re.compile(
    r"(?<![\w/.-])(?P<name>quick_gelu|path_column|score_column|reference_column|higher_is_better|on_collision"
    r"|on_duplicate|variant|resolution|scores|annotations|weights_dir|offline|preset|precision|device)="
    r"(?P<value>\"[^\"]*\"|'[^']*'|True|False|(?=[\s,.;)]|$))"
)

Backbone = Annotated[
    str,
    typer.Option(
        "--backbone",
        "-b",
        help="RN50, ViT-B/32, ..., tiny-rn, tiny-vit, hf-hub:org/name or a file.",
        callback=known_backbones,
    ),
]
OR_THE_PACKS = "RN50, or a pack's own"
OneBackbone = Annotated[
    str | None,
    typer.Option(*("--backbone", "-b"), show_default=OR_THE_PACKS, callback=known_backbones),
]
Prompts = Annotated[str, typer.Option(help="Prompt set: maclip, clip-iqa or attributes.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Precision = Annotated[str, typer.Option(help="fp32, bf16 or fp16, of the encoder alone.")]
WeightsDir = Annotated[
    Path | None, typer.Option(help="Folder to look for weights in first.", file_okay=False)
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Never use the network.", show_default=False)
]
QuickGelu = Annotated[
    bool | None,
    typer.Option(
        "--quick-gelu/--gelu",
        help="Activation of a weights file that does not say; OpenAI's is QuickGELU.",
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.", show_default=False)]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an existing output.", show_default=False)
]
Variant = Annotated[
    Literal["standard", "paper"],
    typer.Option(help='"standard", or "paper" for exactly the list published with MA-CLIP.'),
]
Resolution = Annotated[
    str | None, typer.Option(help="Of KonIQ-10k: 1024x768, the default, or 512x384.")
]
BoxLam = Annotated[float, typer.Option(help="Exponent of the Box-Cox transform; 0 is the log.")]
BaseCos = Annotated[float, typer.Option(help="Base of the cosine cue's weight.")]
BaseNorm = Annotated[float, typer.Option(help="Base of the magnitude cue's weight.")]
Alpha = Annotated[float, typer.Option(help="How far weights follow the cues' difference.")]


Root = Annotated[
    Path | None, typer.Option(help="Folder of the data set, or one above it.", exists=True)
]
Annotations = Annotated[
    Path | None,
    typer.Option(help="Your own list of pictures and scores: .csv, .txt, .xlsx, .json, .parquet."),
]
Scores = Annotated[
    str | None,
    typer.Option(help="KonIQ-10k: mos, the default, or zscore; AGIQA-1K: zscore or raw."),
]
OnDuplicate = Annotated[
    Literal["error", "keep", "mean"],
    typer.Option(help="What a picture in several rows means; mean: each row is a rating."),
]
OnCollision = Annotated[
    Literal["error", "first"], typer.Option(help="What a name borne by several files means.")
]
PathColumn = Annotated[
    str | None, typer.Option(help="Column of your list that holds the pictures.")
]
ScoreColumn = Annotated[str | None, typer.Option(help="Column of your list that holds the scores.")]
ReferenceColumn = Annotated[
    str | None,
    typer.Option(help="Column of your list that says which pictures are versions of one content."),
]
Split = Annotated[
    str | None, typer.Option(help="One part, such as test, of a set or list that has parts.")
]
HigherIsBetter = Annotated[
    bool | None,
    typer.Option(
        "--higher-is-better/--lower-is-better",
        help="Direction of your list's scores; higher, unless it is one of the nine sets'.",
        show_default=False,
    ),
]
NPictures = Annotated[
    int | None,
    typer.Option(help="So many pictures, drawn at random and always the same.", min=1),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Table to write: .parquet or .csv.")
]
ClipIqa = Annotated[
    bool,
    typer.Option(help="Encode whole pictures too, for CLIP-IQA's row; half as much work."),
]
Store = Annotated[Path, typer.Option(help="Folder of the feature store.", file_okay=False)]
Dtype = Annotated[str, typer.Option(help="How features are stored: fp32 or fp16.")]
ReadingPreset = Annotated[
    Literal["default", "official"] | None,
    typer.Option(
        help='How files are read: "official" as the authors do, the rule for the nine data sets; '
        '"default" with EXIF orientation and transparency respected, the rule for all else.',
        show_default=False,
    ),
]


@dataclass(frozen=True)
class DataOptions:
    """Which rows of which data set."""

    root: Root = None
    annotations: Annotations = None
    variant: Variant = "standard"
    resolution: Resolution = None
    scores: Scores = None
    on_duplicate: OnDuplicate = "error"
    n_pictures: NPictures = None
    on_collision: OnCollision = "error"
    path_column: PathColumn = None
    score_column: ScoreColumn = None
    higher_is_better: HigherIsBetter = None
    reference_column: ReferenceColumn = None
    split: Split = None

    def manifests(self, dataset: str) -> list["Manifest"]:
        """The manifests of a data set by name, or of all that lie under the root."""
        from maclip_lab.datasets import find_datasets, open_dataset

        found = {dataset: self.root}
        if dataset == "all" and self.annotations is None:
            if self.root is None:
                raise typer.BadParameter("say where the data sets lie", param_hint="--root")
            found = dict(find_datasets(self.root))
            if not found:
                raise typer.BadParameter("no data set was found there", param_hint="--root")
        choices = {field.name: getattr(self, field.name) for field in fields(self)}
        del choices["root"]
        manifests = [open_dataset(name, folder, **choices) for name, folder in found.items()]
        for manifest in manifests:
            if manifest.note:
                typer.echo(f"{manifest.dataset} in {manifest.root}: {manifest.note}", err=True)
        return manifests


@dataclass(frozen=True)
class FusionOptions:
    """The fusion's constants."""

    box_lam: BoxLam = 0.5
    base_cos: BaseCos = 1.0
    base_norm: BaseNorm = 0.6
    alpha: Alpha = 1.0

    @property
    def settings(self) -> "FusionSettings":
        """The constants as the package has them."""
        from maclip_lab.fusion import FusionSettings

        return FusionSettings(self.box_lam, self.base_cos, self.base_norm, self.alpha)


@dataclass(frozen=True)
class EncoderOptions:
    """Where and how a backbone runs, and where its weights are looked for."""

    device: Device = "auto"
    precision: Precision = "fp32"
    weights_dir: WeightsDir = None
    offline: Offline = False
    quick_gelu: QuickGelu = None

    def config(self, backbone: str) -> "ScoreConfig":
        """All other settings at their defaults."""
        from maclip_lab.scorer import ScoreConfig

        return ScoreConfig(
            backbone,
            device=self.device,
            precision=self.precision,
            weights_dir=None if self.weights_dir is None else str(self.weights_dir),
            offline=self.offline or None,
            quick_gelu=self.quick_gelu,
        )

    def scorer(self, backbone: str) -> "Maclip":
        """The metric with this backbone."""
        from maclip_lab.scorer import Maclip

        return Maclip.from_config(self.config(backbone))

    def scorers(
        self, backbones: Sequence[str] | None, manifests: Sequence["Manifest"]
    ) -> Iterator["Maclip | Pack"]:
        """The metric with each of the backbones; None for the paper's, or the pack's own."""
        from maclip_lab.features import open_pack

        if backbones is None and not manifests[0].has_pictures:
            yield open_pack(manifests[0].root)
            return
        for name in backbones or ["RN50"]:
            yield self.scorer(name)


@dataclass(frozen=True)
class StoreOptions:
    """Where features are kept, and how."""

    store: Store = Path("build/features")
    dtype: Dtype = "fp32"


def report_failures(table: "pd.DataFrame", manifest: "Manifest") -> int:
    """Says which pictures could not be used, and how many of all; returns how many.

    Those that the copy at hand lacks are counted; what a pack was made without is no failure.
    """
    failed = name_failures(table)
    if failed:
        typer.secho(f"{failed} of {len(table)} pictures could not be used", err=True)
    return failed + len(manifest.missing) * manifest.has_pictures


def name_failures(table: "pd.DataFrame") -> int:
    """Says which pictures could not be used; returns how many."""
    failed = table[table["status"] != "ok"]
    for row in failed.head(20).itertuples():
        typer.secho(f"  {row.path}: {row.status}: {row.message}", fg="yellow", err=True)
    if len(failed) > 20:
        typer.secho(f"  ... and {len(failed) - 20} more", fg="yellow", err=True)
    return len(failed)


def refuse_existing(
    output: Path | None,
    overwrite: bool,
    folder: Path | None = None,
    suffixes: Sequence[str] = (".parquet", ".csv"),
) -> None:
    """Stops, before any work is done, where an output exists or cannot be written.

    ``folder`` is one that will be made where it is absent.

    Raises:
        typer.BadParameter: the file exists, or its folder does not, or its suffix is unknown, or
            nothing can be written there.
    """
    if output is None:
        return
    if output.suffix not in suffixes:
        raise typer.BadParameter(
            f"{output} does not end in {' or '.join(suffixes)}", param_hint="-o"
        )
    if os.path.isdir(output):
        raise typer.BadParameter(f"{output} is a folder", param_hint="-o")
    if os.path.lexists(output) and not overwrite:
        raise typer.BadParameter(f"{output} exists; --overwrite replaces it", param_hint="-o")
    made = output.parent == folder and not output.parent.exists()
    parent = output.parent.parent if made else output.parent
    if not os.path.isdir(parent):
        raise typer.BadParameter(f"the folder {parent} does not exist", param_hint="-o")
    try:
        try_to_write(parent / (output.name + RECORD_SUFFIX))
    except OSError as error:
        raise typer.BadParameter(
            f"{output} and its record cannot be written: {error.strerror}", param_hint="-o"
        ) from error
