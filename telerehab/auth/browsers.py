"""What kind of browser somebody uses, in two coarse words: enough to recognise one's own in a list."""

from typing import Final

UNKNOWN: Final = "?"
_BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
"""The first that fits: most browsers also name those that came before them."""
_SYSTEMS: Final = (
    ("iPad", "iPad"),
    ("iPhone", "iPhone"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def describe_browser(user_agent: str | None) -> str:
    """Return browser and system.

    >>> describe_browser("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36")
    'Chrome, Linux'
    >>> describe_browser("curl/8"), describe_browser(None)
    ('?, ?', '?, ?')
    """
    text = user_agent or ""
    browser = next((name for mark, name in _BROWSERS if mark in text), UNKNOWN)
    system = next((name for mark, name in _SYSTEMS if mark in text), UNKNOWN)
    return f"{browser}, {system}"
