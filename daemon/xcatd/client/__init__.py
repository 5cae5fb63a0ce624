"""xcatclient: the command-line client."""
