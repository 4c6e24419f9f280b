"""Sealed sensor segments: what devices sent, encrypted for good, and how it is read again.

`sealing` moves blocks from the hot store into files (role jobs), `reader.read_stream` reads files and hot store as one
stream. `frames`, `layout`, `attribution` and `grid` are pure; `store`, `segment_rows` and the rest are their shells.
"""
