"""Data sets: the publishers' own files, read into one checked table of pictures and scores."""

from maclip_lab.datasets.cards import CARDS, Card, Choices, card_for, list_datasets, show_card
from maclip_lab.datasets.checks import Finding, Report, check_dataset
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.datasets.opening import find_datasets, open_dataset
from maclip_lab.datasets.synthetic import EDITIONS, Edition, make_synthetic
from maclip_lab.errors import DatasetError, DatasetWarning

__all__ = ["CARDS", "EDITIONS", "Card", "Choices", "DatasetError", "DatasetWarning", "Edition"]
__all__ += ["Finding", "Manifest", "Report", "card_for", "check_dataset", "find_datasets"]
__all__ += ["list_datasets", "make_synthetic", "open_dataset", "show_card"]
