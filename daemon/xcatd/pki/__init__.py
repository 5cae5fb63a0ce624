"""The certificate authority of the agents (xcat-aix-ca)."""
