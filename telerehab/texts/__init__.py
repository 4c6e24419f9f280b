"""Every sentence a person reads, in Danish and English.

`da.json` and `en.json` are the home of all texts. The browser's typed module is generated from them
(`python -m telerehab.texts.generate`); the server looks texts up here. Values stand in braces: `"Hello, {name}"`.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

LANGUAGES: Final = ("da", "en")
DEFAULT_LANGUAGE: Final = "da"


class UnknownTextError(KeyError):
    """A key that no text has: a mistake in our own code."""


def text(key: str, language: str, **values: object) -> str:
    """Return one text, with its values filled in.

    A language that we do not have gives the Danish text: a sentence in the wrong language still helps.

    Examples
    --------
    >>> text("patient.greeting", "en", name="Else")
    'Hello, Else'
    >>> text("patient.greeting", "kl", name="Else")
    'Hej, Else'
    """
    texts = texts_in(language if language in LANGUAGES else DEFAULT_LANGUAGE)
    if key not in texts:
        raise UnknownTextError(key)
    return texts[key].format(**values)


@cache
def texts_in(language: str) -> Mapping[str, str]:
    """Return all texts of one language by key."""
    content = resources.files(__name__).joinpath(f"{language}.json").read_text(encoding="utf-8")
    texts: dict[str, str] = json.loads(content)
    return texts
