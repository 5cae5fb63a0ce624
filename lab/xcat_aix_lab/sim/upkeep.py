"""``nim -o check``, ``cust``, ``sync_roots``, ``update`` and ``unconfig``."""

from __future__ import annotations

from . import messages, objects

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .nim import NimCall


def check(call: NimCall) -> str:
    """Check and repair: resources become ready for use."""
    for name in call.names:
        obj = call.db.edit(name)
        if obj.cls == objects.RESOURCES:
            obj.attributes["prev_state"] = "verification is being performed"
            obj.attributes["Rstate"] = "ready for use"
            obj.attributes["Rstate_result"] = "success"
    return ""


def cust(call: NimCall) -> str:
    """Install software into a SPOT or on a machine that answers."""
    name = call.the_name("cust")
    target = call.db.edit(name)
    source = call.required("lpp_source", "m_cust")
    if call.db.get(source, "m_cust").type != "lpp_source":
        text = f'"{source}" is not of type lpp_source'
        raise messages.NimError(messages.BAD_VALUE, "m_cust", text)
    if not (call.get("filesets") or call.get("installp_bundle")):
        text = "filesets or installp_bundle must be specified"
        raise messages.NimError(messages.REQUIRED, "m_cust", text)
    if target.cls == objects.MACHINES:
        _check_answers(call, target)
    wanted = call.get("filesets") or call.get("installp_bundle")
    return f"+-----------------------------------------------------------------------------+\n{wanted}: installed on {name}\n"


def _check_answers(call: NimCall, machine: objects.SimulatedObject) -> None:
    found = call.world.resolve(machine.attributes["if1"].split()[1])
    if found is None or not call.world.is_up(found[0]):
        text = f'(From_Master) connect to "{machine.name}" failed'
        raise messages.NimError(messages.CONNECT, "m_cust", text)


def sync_roots(call: NimCall) -> str:
    """Bring client roots in line with a SPOT; the shared roots lose their ``.client_data``."""
    name = call.the_name("sync_roots")
    if call.db.get(name).type != "spot":
        text = f'"{name}" is not of type spot'
        raise messages.NimError(messages.BAD_VALUE, "m_sync_roots", text)
    roots = [r for r in call.db.of_class(objects.RESOURCES) if r.attributes.get("spot") == name]
    for root in roots:
        location = root.attributes["location"]
        call.world.store.files(call.node).remove_below(f"{location}/etc/.client_data")
    return "".join(f"Synchronizing {root.name}\n" for root in roots)


def update(call: NimCall) -> str:
    """Add or remove images of an lpp_source."""
    resource = call.db.edit(call.the_name("update"))
    packages = call.required("packages", "m_update")
    if resource.cls == objects.RESOURCES and call.db.users(resource.name):
        text = f'the "{resource.name}" resource is currently allocated for client use'
        raise messages.NimError(messages.IN_USE, "m_update", text)
    if call.get("rm_images") != "yes":
        call.required("source", "m_update")
    return f"{packages}: done\n"


def unconfig(call: NimCall) -> str:
    """End this host's time as a NIM master."""
    call.the_name("unconfig")
    call.world.end_nim()
    host = call.world.edit_host()
    host.subsystems.pop("nimesis", None)
    call.world.store.files(call.node).remove("/etc/niminfo")
    return ""
