"""Seeds derived from the run's seed and a name, for every random number of a run.

Hence no generator state has to be saved, a run in a sweep draws the same numbers as alone, and
adding a source of randomness changes none of the others.
"""

from hashlib import blake2b


def derive_seed(seed: int, *names: object) -> int:
    """Return a 63-bit seed for the purpose `names`, e.g. `derive_seed(0, "order", epoch)`."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
