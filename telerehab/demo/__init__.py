"""The demonstration clinic and its scenes."""
