"""What each operation of the protocol does on this host, and its probe."""
