"""Work that outlives the agent: a directory for each job, and what works on it.  Knows no sockets."""
