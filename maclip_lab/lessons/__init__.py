"""What only a notebook imports: claims, exercises, the explorer, a data set by name, files."""

from maclip_lab.lessons.claims import Claims
from maclip_lab.lessons.dataset import (
    open_crops_and_whole,
    open_dataset,
    open_features,
    open_pictures,
    quality_label,
    work_folder,
)
from maclip_lab.lessons.exercises import check
from maclip_lab.lessons.extraction import encoding_estimate, extract, is_watched
from maclip_lab.lessons.outputs import keep_shown
from maclip_lab.lessons.prediction import predict

__all__ = [
    "Claims",
    "check",
    "encoding_estimate",
    "extract",
    "is_watched",
    "keep_shown",
    "open_crops_and_whole",
    "open_dataset",
    "open_features",
    "open_pictures",
    "predict",
    "quality_label",
    "work_folder",
]
