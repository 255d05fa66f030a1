"""One experiment: the row beside its baseline and the published one.

    python -m experiments.run ablation=xattn_every_4th [scale=tiny] [seed=0] [key=value ...]
"""
