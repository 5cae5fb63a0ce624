"""What the management node and the agents say to each other.

Owns the operations, job states, error codes, identities and their codec.  It must stay free of
I/O and of dependencies, because both ends, and the lab, import it (ARCHITECTURE.md, The house).
"""

from __future__ import annotations

__version__ = "0.1.0"

#: Versions of the agent protocol this code speaks, oldest first.
PROTOCOL_VERSIONS = (1,)

#: The Pyro5 object every agent serves (docs/facts/pyro5.md, Objects and calls).
OBJECT_ID = "xcat-aix.agent"

#: Default of ``site.aixagentport``.
DEFAULT_PORT = 3009

#: TLS application protocol (ALPN, RFC 7301) of a Pyro5 conversation with this agent.
ALPN_RPC = "xcat-aix-rpc/1"

#: TLS application protocol of a relay: after one request line the stream is piped to another agent.
ALPN_RELAY = "xcat-aix-relay/1"

#: TLS application protocol in which one agent takes something from another: after one request line, for
#: which there must be a grant, the content comes.
ALPN_TAKE = "xcat-aix-take/1"

#: Upper bound, in bytes, of one message in either direction; nothing is compressed.
MAX_MESSAGE = 32 * 1024 * 1024

#: Upper bound, in bytes, of one message to an agent: requests are small, answers may be long.
MAX_REQUEST = 2 * 1024 * 1024

#: Upper bound, in bytes, of one line that opens a relay or a take, in either direction.
MAX_RELAY_LINE = 4096

#: Upper bound, in bytes, of one piece of what an agent gives to another.
MAX_PIECE = 64 * 1024

#: Upper bound, in seconds, of one ``follow`` call: the agent answers at least this often.
MAX_FOLLOW = 10.0

#: Annotation of a call (four characters, Pyro5) that names the caller's request it is part of
#: (:func:`.names.trace`), for the agent's log.  An agent that does not know it passes over it.
TRACE = "TRCE"
