"""The `telerehab` command."""
