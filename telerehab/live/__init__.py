"""Live sessions between web and media worker: fan-out to pages, host of rooms, and their messages."""
