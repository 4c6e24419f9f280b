"""Why a demonstration cannot start; each is one plain sentence for the person who typed the command.

DemoError
    FolderNotWritableError   choose another folder
    FolderInUseError         end the other demonstration, or choose another folder
    PortTakenError           choose another port
    PagesMissingError        build the pages
    NoNetworkAddressError    name the address
    NotReadyError            a part did not start; its log says why
"""

from pathlib import Path

from telerehab.errors import TelerehabError


class DemoError(TelerehabError):
    """A demonstration cannot start."""


class FolderNotWritableError(DemoError):
    """The folder cannot be made or written."""

    def __init__(self, folder: Path | None, why: str) -> None:
        where = folder or "for temporary files"
        super().__init__(f"The folder {where} cannot be written ({why}); choose one with --folder.")


class FolderInUseError(DemoError):
    """Another demonstration runs in the folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"Another demonstration runs in {folder}; end it, or choose another folder with --folder.")


class PortTakenError(DemoError):
    """Something else listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(f"Port {port} is taken, perhaps by another demonstration; choose another with --port.")


class PagesMissingError(DemoError):
    """The pages were not built."""

    def __init__(self, page: str) -> None:
        super().__init__(f"The page {page} is not built; run `make install` once.")


class NoNetworkAddressError(DemoError):
    """This machine has no address on a network."""

    def __init__(self) -> None:
        super().__init__("This machine has no network address of its own; name one: --lan ADDRESS.")


class NotReadyError(DemoError):
    """A part of the application did not become ready."""

    def __init__(self, waited_s: float, reasons: str) -> None:
        super().__init__(f"Not ready after {waited_s:.0f} s: {reasons}")
