"""The executor and its journal.  No word of NIM or xCAT is known here."""
