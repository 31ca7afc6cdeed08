"""Compression steps, one file each; resolved by name on use. Knows nothing of the lab or of agents."""

STEPS = {
    "prune_channels": "compressors.prune.channels:PruneChannels",
    "quantize_static": "compressors.quantize.static:QuantizeStatic",
    "distill": "compressors.distill.logits:Distill",
    "factorize_svd": "compressors.factorize.svd:FactorizeSvd",
}
"""Name in a campaign file → class. Its dataclass fields are the parameters, their defaults and their types."""
