"""Object definitions: nodes, groups, images… as xCAT's users see them, and how they lie in tables."""
