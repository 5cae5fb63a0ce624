"""Texts as Perl understands them: expressions and balanced brackets.  Pure."""
