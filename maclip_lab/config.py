"""The settings of a score, from whoever asks for it to whatever is recorded of it."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from maclip_lab.crops import NATIVE, Protocol, protocol_for
from maclip_lab.errors import IntegrityError
from maclip_lab.files.provenance import config_sha256, versions
from maclip_lab.fusion import FusionSettings
from maclip_lab.images import Preset
from maclip_lab.prompts import PromptPairs, prompt_pairs
from maclip_lab.weights.loading import activation, fetch


@dataclass(frozen=True)
class ScoreConfig:
    """Everything that scores depend on, except the pictures; small enough to send to a worker.

    It travels from whoever asks to whatever is recorded: `facts` are the settings of every result.
    Its fields are arguments of `Maclip` and `Maclip.__call__`, and ``weights_sha256`` is what
    every worker's weights must be, empty for what is found here.
    """

    backbone: str = "RN50"
    weights_sha256: str = ""
    dataset: str | Protocol | None = None
    preset: Preset | None = None
    prompts: str | PromptPairs = "maclip"
    settings: FusionSettings = FusionSettings()
    device: str = "auto"
    precision: str = "fp32"
    pos_embedding: bool = False
    weights_dir: str | None = None
    offline: bool | None = None
    quick_gelu: bool | None = None
    attributes: bool = False

    def __post_init__(self) -> None:
        pairs = prompt_pairs(self.prompts)
        if not isinstance(self.prompts, str):
            object.__setattr__(self, "prompts", pairs)

    @property
    def protocol(self) -> Protocol:
        """The crop protocol that ``dataset`` means.

        Raises:
            ValueError: no such data set.
        """
        if self.dataset is None:
            return NATIVE
        return self.dataset if isinstance(self.dataset, Protocol) else protocol_for(self.dataset)

    @property
    def reading(self) -> Preset:
        """How files are read: as the authors do where a data set is named, unless told."""
        if self.preset is None:
            return "official" if isinstance(self.dataset, str) else "default"
        return self.preset

    @property
    def facts(self) -> dict[str, object]:
        """What the numbers depend on, every choice resolved, as results record it."""
        return {
            "backbone": self.backbone,
            "weights_sha256": self.weights_sha256,
            "protocol": asdict(self.protocol),
            "preset": self.reading,
            "prompts": [list(pair) for pair in prompt_pairs(self.prompts)],
            "precision": self.precision,
            "pos_embedding": self.pos_embedding,
            "quick_gelu": self.quick_gelu,
            **vars(self.settings),
            **({"attributes": True} if self.attributes else {}),
        }

    @property
    def sha256(self) -> str:
        """Hash of what the numbers depend on to the last bit."""
        return config_sha256({**self.facts, "device": self.device, "versions": versions()})

    def pinned(self) -> "ScoreConfig":
        """The same with the weights found, fetched if need be, and named by their sha256.

        Raises:
            WeightsError: no weights can be had.
        """
        path = Path(self.backbone)
        here = replace(self, backbone=str(path.absolute())) if path.is_file() else self
        found = fetch(
            here.backbone, weights_dir=self.weights_dir, offline=self.offline, progress=False
        )
        if self.weights_sha256 not in ("", found.sha256):
            raise IntegrityError(
                f"{self.backbone} is {found.sha256} here, not the {self.weights_sha256} asked for"
            )
        quick_gelu = activation(here.backbone, found, self.quick_gelu)
        return replace(here, weights_sha256=found.sha256, quick_gelu=quick_gelu)
