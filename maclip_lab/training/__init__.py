"""How the embedded backbones are made: small CLIPs trained from scratch.

Photographs are degraded in known ways (`bank`), captions say which scene it is and how good it
looks (`captions`), a tiny CLIP learns to match them (`loop`), and what it then shows is measured
on photographs and opinions it never saw (`report`). No loss here sees the magnitude cue.

Run as ``python -m maclip_lab.training bank|train|export|report``.
"""
