"""What studies and their rivals are asked of: predictions that no backbone made."""

from types import SimpleNamespace

from maclip_lab.ablations.rated import assess
from maclip_lab.crops import protocol_for
from maclip_lab.scorer import ScoreConfig


def assessed(manifest, predictions, rivals, sizes=(300, 200), **options):
    """A study of pictures of these widths and heights, which nobody looked at."""
    width, height = sizes
    facts = manifest.table[["path"]].assign(sha256="", width=width, height=height)
    made = SimpleNamespace(protocol=protocol_for(manifest.protocol), preset="default", dtype="fp32")
    view = SimpleNamespace(manifest=manifest, config=made, table=facts)
    scorer = SimpleNamespace(config=lambda *_, **__: ScoreConfig("plain"))
    return assess(predictions, view, scorer, rivals=rivals, **options)
