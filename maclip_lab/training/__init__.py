"""How the embedded backbones are made: small CLIPs trained from scratch.

Photographs and what people said of them (`photographs`) are degraded in known ways (`bank`),
captions say how good they look (`captions`), a tiny CLIP learns to match both (`loop`), and what it
then shows (`evaluation`) on photographs and opinions it never saw becomes one table (`runs`) and
a page (`report`). No loss here sees the magnitude cue.

Run as ``python -m maclip_lab.training train|validate|measure|report``.
"""
