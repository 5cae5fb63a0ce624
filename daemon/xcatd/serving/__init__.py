"""From the socket to the plugin: who is connected, who they are, what they may, and what they get."""
