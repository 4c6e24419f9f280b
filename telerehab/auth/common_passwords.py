"""Passwords that are guessed first, told by rules instead of a list: words that everybody takes, dressed up.

What is left of a password after taking away common words, names around the account, years, runs and repetitions has to
be long enough to be worth guessing at. The words are ours, written down from the habits that the rules describe.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

LEFT_OVER_MIN: Final = 5
"""Characters that nobody would guess at first."""
CONTEXT_WORD_MIN: Final = 3
_RUN_MIN: Final = 3

_WORDS_TEXT: Final = """
password passwort passord passwd kodeord adgangskode adgang kode login logind velkommen welcome hemmelig hemmelighed
secret admin administrator bruger user test tester testing demo default changeme skiftmig letmein lukmigind sommer
vinter efterår forår summer winter spring autumn januar februar marts april maj juni juli august september oktober
november december january february march may june july october monday mandag tirsdag onsdag torsdag fredag lørdag
søndag friday sunday danmark denmark danish dansk københavn copenhagen aarhus odense aalborg esbjerg sverige norge
kommune region hospital sygehus klinik clinic genoptræning træning trænings fysioterapi fysio terapi terapeut
therapist therapy rehab rehabilitering telerehab patient patienter sundhed sundhedscenter plejehjem afdeling fodbold
football soccer handbold liverpool arsenal chelsea barcelona brøndby superman batman starwars pokemon iloveyou
elsker elskerdig jegelskerdig kærlighed kærlig love baby skat skatter prinsesse princess dragon drage monkey master
shadow sunshine solskin flower blomst hund hunden kat katten hest hesten killer hello hejsa hejmeddig hej god gud
jesus mor far mormor farfar familie family money penge computer internet google facebook apple samsung windows
microsoft office qwerty qwertyuiop asdf asdfgh asdfghjkl zxcvbn zxcvbnm azerty qazwsx wsxedc qweasd abc abcd abcdef
abcdefgh anders mette peter lars hanne jens karen niels kirsten michael maria thomas anne henrik louise christian
camilla martin emma freja oscar lucas william noah alma oliver sofie sofia ida nanna johan magnus mikkel the and min
mit mine nyt ny new one two tre fire fem seks syv otte ni ti nul en to og er det
"""
_WORDS: Final = frozenset(_WORDS_TEXT.split())
_LEET: Final = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"})
_ROWS: Final = ("abcdefghijklmnopqrstuvwxyzæøå", "qwertyuiopå", "asdfghjklæø", "zxcvbnm", "01234567890", '!"#¤%&/()=')
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_LETTERS: Final = re.compile(r"[^\W\d_]+")


def is_common(password: str, *, context: Iterable[str] = ()) -> bool:
    """Return whether a password would be guessed early.

    Parameters
    ----------
    context : iterable of str
        The e-mail address, the name, the organisation: their words say nothing secret.

    Examples
    --------
    >>> is_common("Sommer2026!!"), is_common("P@ssw0rd1234"), is_common("abcabcabcabc"), is_common("aaaaaaaaaaaa")
    (True, True, True, True)
    >>> is_common("Ida.Holm-2031", context=["ida.holm@clinic.example"])
    True
    >>> is_common("tre grønne måger i modvind")
    False
    """
    text = unicodedata.normalize("NFKC", password).casefold()
    words = _WORDS | {word for each in context for word in _words_of(each)}
    return min(_left_over(text, words), _left_over(text.translate(_LEET), words)) < LEFT_OVER_MIN


def _words_of(text: str) -> list[str]:
    """Return the words of an address or a name."""
    return [word for word in _LETTERS.findall(text.casefold()) if len(word) >= CONTEXT_WORD_MIN]


def _left_over(text: str, words: Iterable[str]) -> int:
    """Return how many different characters are left when all that is common has been taken away."""
    left = _YEAR.sub(" ", text)
    for word in sorted(words, key=lambda each: (-len(each), each)):
        left = left.replace(word, " ")
    left = "".join(character for character in _without_runs(left) if not character.isspace())
    left = re.sub(r"(.+?)\1+", r"\1", left)  # what is repeated counts once
    return len(left)


def _without_runs(text: str) -> str:
    """Return a text without runs along the alphabet, the digits or a row of keys, forwards or backwards."""
    kept, at = [], 0
    while at < len(text):
        length = max(_run_length(text[at:], row) for row in (*_ROWS, *(row[::-1] for row in _ROWS)))
        if length >= _RUN_MIN:
            at += length
        else:
            kept.append(text[at])
            at += 1
    return "".join(kept)


def _run_length(text: str, row: str) -> int:
    """Return how far a text follows a row from its first character on."""
    start = row.find(text[0])
    if start < 0:
        return 0
    length = 0
    while length < len(text) and start + length < len(row) and text[length] == row[start + length]:
        length += 1
    return length
