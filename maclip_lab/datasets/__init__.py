"""Data sets: the publishers' own files, read into one checked table of pictures and scores."""

from maclip_lab.datasets.annotations import load_annotations
from maclip_lab.datasets.cards import CARDS, Card, card_for, list_datasets, show_card
from maclip_lab.datasets.catalog import find_datasets, load_dataset
from maclip_lab.datasets.checks import Finding, Report, check_dataset, check_manifest
from maclip_lab.datasets.choice import open_dataset
from maclip_lab.datasets.errors import DatasetError, DatasetWarning
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.datasets.synthetic import EDITIONS, Edition, make_synthetic

__all__ = [
    "CARDS",
    "EDITIONS",
    "Card",
    "DatasetError",
    "DatasetWarning",
    "Edition",
    "Finding",
    "Manifest",
    "Report",
    "card_for",
    "check_dataset",
    "check_manifest",
    "find_datasets",
    "list_datasets",
    "load_annotations",
    "load_dataset",
    "make_synthetic",
    "open_dataset",
    "show_card",
]
