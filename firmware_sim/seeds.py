"""Random streams that depend on the seed and a name alone, whatever the size of the fleet."""

from hashlib import sha256

import numpy as np


def random_stream(seed: int, *names: str) -> np.random.Generator:
    """Return a generator of its own for (seed, names).

    Examples
    --------
    >>> first, again = random_stream(1, "band-7", "noise"), random_stream(1, "band-7", "noise")
    >>> first.random() == again.random()
    True
    >>> random_stream(1, "band-7", "noise").random() == random_stream(1, "band-8", "noise").random()
    False
    """
    digest = sha256("/".join(names).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, "<u4").tolist()])
