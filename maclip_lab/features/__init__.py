"""Features of whole data sets, extracted once into a store that serves them to every ablation."""

from maclip_lab.features.extractor import Extractor
from maclip_lab.features.features import Features
from maclip_lab.features.packs import Pack, open_pack, write_pack

__all__ = ["Extractor", "Features", "Pack", "open_pack", "write_pack"]
