"""Features of whole data sets: extracted once into a store, and served from it to every ablation.

`extraction` turns picture files into `shards`; `store` keeps those on disk; `lookup` says which
picture a file is and what a store knows of it; `view` is a manifest's view of a store;
`stored_cues` reads both cues of every crop at once.
"""

from maclip_lab.features.view import (
    Features,
    extract_crops_and_whole,
    extract_features,
    feature_config,
    open_features,
)

__all__ = [
    "Features",
    "extract_crops_and_whole",
    "extract_features",
    "feature_config",
    "open_features",
]
