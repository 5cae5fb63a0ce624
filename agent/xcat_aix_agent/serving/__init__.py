"""From a peer's first byte to the answer of its call: who gets in, and what each may do."""
