"""`python -m telerehab` is the `telerehab` command."""

from telerehab.cli.__main__ import main

if __name__ == "__main__":
    main()
