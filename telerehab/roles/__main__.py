"""`python -m telerehab.roles NAME`: run one role in this process.

What supervised children are started with: they need none of the command line's other parts, which would cost each of
them start-up time and memory.
"""

import sys
from importlib import import_module

from telerehab.errors import TelerehabError
from telerehab.roles import Role
from telerehab.settings import Settings, load_settings
from telerehab.supervision import EXIT_SETTINGS


def run_role(role: Role, settings: Settings) -> int:
    """Run a role until it is told to stop; return its exit code."""
    code: int = import_module(f"telerehab.roles.{role}").run(settings)
    return code


def main() -> int:
    """Run the role that the first argument names."""
    if len(sys.argv) != 2 or sys.argv[1] not in list(Role):
        sys.stderr.write(f"usage: python -m telerehab.roles {'|'.join(Role)}\n")
        return EXIT_SETTINGS
    try:
        return run_role(Role(sys.argv[1]), load_settings())
    except TelerehabError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_SETTINGS


if __name__ == "__main__":
    sys.exit(main())
