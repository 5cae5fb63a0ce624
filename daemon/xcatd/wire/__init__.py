"""The wire to xCAT clients: sans-IO codecs, no sockets."""
