"""The errors of the application, and what to do about each.

```text
TelerehabError
  SettingsError            a setting is missing or makes no sense: correct it, then start again
  NotTheOwnerError         a role wrote a table that belongs to another role: a fault in our code
  MissingPolicyError       a route or channel says nowhere who may use it: a fault in our code, the app does not start
  DatabaseNotReadyError    the database has another version than the program: run `telerehab migrate`
  KeyRingError             the keys of sealed data are missing or others: put the right key ring file back
  AuditKeyError            a transaction writes to the audit chain and its engine has no key: a fault in our code
  BrokerFolderError        Mosquitto's files cannot be written: correct the folder that it names
  ChildFailedError         a child process does not come up: its own log says why
  RequestRefusedError      what one request asked for cannot be; the table in `api/problems.py` gives each its status
    NotLoggedInError       no login, or one that has ended: log in again
    LoginFailedError       wrong password, code or link: try again; the answer never says which part was wrong
    NotAllowedError        the reader is known and this kind of reader may not do it
    CrossSiteError         a write without the header that only our own pages send
    NotFoundError          it does not exist, or the reader may not see it
    ConflictError          it exists already, or its state does not allow the change: read it again
    TooManyAttemptsError   wait `retry_after_s`, then try again
    TooLargeError          the body is larger than the limit
    MisdirectedError       the host name of the address is not one of ours: add it to `public_hosts`
    MediaUnavailableError  no media worker answers: try again in some seconds
    BrokerAwayError        the broker takes nothing: the device keeps its data, try again in some seconds
    TooManyLinksError      the process holds as many device links as it may: try again later
    SecondFactorError      the password was right: give the second factor, or set one up, first
    InvalidContentError    well-formed, but its content cannot be: `faults` says where and why
```
"""

from collections.abc import Mapping, Sequence


class TelerehabError(Exception):
    """Any error that the application raises on purpose."""


class SettingsError(TelerehabError):
    """A setting is missing or makes no sense."""


class NotTheOwnerError(TelerehabError):
    """A role wrote to a table that belongs to another role."""


class MissingPolicyError(TelerehabError):
    """A route or channel names no policy."""


class DatabaseNotReadyError(TelerehabError):
    """The database is not at the version that the program needs."""


class AuditKeyError(TelerehabError):
    """A transaction writes to the audit chain, and its engine has no key."""


class KeyRingError(TelerehabError):
    """The keys of sealed data cannot be read, or are not those that sealed."""


class BrokerFolderError(TelerehabError):
    """The folder of Mosquitto's files cannot be used."""


class ChildFailedError(TelerehabError):
    """A child process stays down or is not ready in time."""

    def __init__(self, message: str, *, name: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.exit_code = exit_code


class RequestRefusedError(TelerehabError):
    """What a request asked for cannot be done. The message is for programmers: no names, no values of a person.

    Parameters
    ----------
    code : str, optional
        What pages translate, where the error's own code (`api/problems.py`) says too little.
    """

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class NotLoggedInError(RequestRefusedError):
    """There is no login, or it has ended."""


class LoginFailedError(RequestRefusedError):
    """The password, code or link was not accepted."""


class NotAllowedError(RequestRefusedError):
    """This kind of reader may not do this."""


class CrossSiteError(RequestRefusedError):
    """A write came without the header that only our own pages send."""


class NotFoundError(RequestRefusedError):
    """It does not exist, or the reader may not see it."""


class ConflictError(RequestRefusedError):
    """It exists already, or its state does not allow the change."""


class TooManyAttemptsError(RequestRefusedError):
    """Too many attempts in a short time."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooLargeError(RequestRefusedError):
    """The body is larger than the limit."""


class MisdirectedError(RequestRefusedError):
    """The request names a host that is not served here."""


class MediaUnavailableError(RequestRefusedError):
    """No media worker answers."""


class BrokerAwayError(RequestRefusedError):
    """The broker does not take what a device sends."""


class TooManyLinksError(RequestRefusedError):
    """There are as many device links as a process may hold."""


class SecondFactorError(RequestRefusedError):
    """The first factor was right, the second is still to be given or set up."""


class InvalidContentError(RequestRefusedError):
    """What was sent is well-formed, but its content cannot be.

    Parameters
    ----------
    faults : sequence of mappings
        `at` (the place) and `kind` (a code), as in the answer to a malformed body; never a value of a person.
    """

    def __init__(self, message: str, *, faults: Sequence[Mapping[str, str]] = (), code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.faults = tuple(faults)
