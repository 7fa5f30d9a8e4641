"""Features of whole data sets: extracted once into a store, and served from it to every ablation.

`extraction` turns picture files into `shards`; `store` keeps those on disk; `lookup` says which
picture a file is and what a store knows of it; `packs` are files of features without pictures;
`serving` finds a manifest's features in either; `view` is what it gives; `stored_cues` reads both
cues of every crop at once.
"""

from maclip_lab.features.packs import Pack, open_pack, write_pack
from maclip_lab.features.serving import (
    extract_crops_and_whole,
    extract_features,
    feature_config,
    open_features,
)
from maclip_lab.features.view import Features

__all__ = [
    "Features",
    "Pack",
    "extract_crops_and_whole",
    "extract_features",
    "feature_config",
    "open_features",
    "open_pack",
    "write_pack",
]
