"""The rules of care: values in, values out. Nothing here reads a clock, a table or a socket."""
