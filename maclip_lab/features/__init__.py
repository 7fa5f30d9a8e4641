"""Features of whole data sets: extracted once into a store, and served from it to every ablation.

`features` is what an ablation reads; `packs` are files of features without pictures; `extractor`
turns picture files into packs of a `store` and finds them again; `cues` reads both cues of every
crop at once.
"""

from maclip_lab.features.extractor import Extractor
from maclip_lab.features.features import Features
from maclip_lab.features.packs import Pack, open_pack, write_pack

__all__ = ["Extractor", "Features", "Pack", "open_pack", "write_pack"]
