"""Every random number of a run is a pure function of its seed and a name.

So there is no generator state to save, a run in a sweep draws what it draws alone,
and adding one more source of randomness changes none of the others.
"""

from __future__ import annotations

from hashlib import blake2b


def derive_seed(seed: int, *names: object) -> int:
    """A 63-bit seed for the purpose spelled by `names`, e.g. `derive_seed(0, "order", epoch)`."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
