"""The commands on object definitions: lsdef, mkdef, chdef, rmdef."""
