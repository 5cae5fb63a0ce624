"""Step kinds: how each is looked at, done, named and taken back.  The engine of ``run`` knows none of them."""
