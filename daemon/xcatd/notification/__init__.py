"""Commands and Perl modules that are called when tables change: the ``notification`` table."""
