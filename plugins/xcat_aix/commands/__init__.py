"""One module per command: options, reading the world, planning, answering."""
