"""What tables and columns are for, as text: one per line, ``name: meaning``, continuation lines indented.

A column's meaning holds for every table with a column of that name, unless ``table.column`` has its own.
"""

from __future__ import annotations

TABLES = """\
auditlog: Record of the commands that the daemon was asked for.
bootparams: Kernel, initial RAM disk and parameters a node boots with.
boottarget: Named sets of kernel, initial RAM disk and parameters.
cfgmgt: Configuration management of nodes.
chain: What is done with a node after discovery, step by step.
deps: Which nodes must be up or down before a node is powered.
discoverydata: What nodes told about themselves when they were discovered.
domain: Joining nodes to a Windows or LDAP domain.
eventlog: Events that monitoring has recorded.
firmware: Firmware configuration files of nodes.
hosts: Addresses and further names of nodes and their interfaces.
hwinv: Hardware found in nodes.
hypervisor: Settings of the hosts of virtual machines.
ipmi: Service processors reached by IPMI.
iscsi: Nodes that boot from an iSCSI target.
kit: Software kits added to the cluster.
kitcomponent: Components of software kits.
kitrepo: Package repositories of software kits.
kvm_masterdata: Definitions of master images of KVM virtual machines.
kvm_nodedata: Definitions of KVM virtual machines.
linuximage: What a Linux osimage consists of.
litefile: Files of stateless nodes that keep their contents.
litetree: Where the contents of those files come from.
mac: Network adapters of nodes and their hardware addresses.
mic: Intel coprocessor cards.
monitoring: Monitoring plug-ins in use.
monsetting: Settings of the monitoring plug-ins.
mp: Blades: their management module and slot.
mpa: Management modules of blade chassis.
networks: Networks of the cluster.
nics: Addresses, names and settings of nodes' network adapters.
nimimage: What an AIX osimage consists of: its NIM resources.
nodegroup: Dynamic groups, and groups without members.
nodehm: How nodes are powered, and how their consoles are reached.
nodelist: The nodes, their groups and their state.
nodepos: Where nodes stand.
noderes: Which servers and networks nodes use to install and boot.
nodetype: Operating system, architecture and osimage of nodes.
notification: Programs that are told about changes of tables.
openbmc: Service processors with OpenBMC firmware.
osdistro: Operating system distributions on the management node.
osdistroupdate: Updates of operating system distributions.
osimage: Operating system images.
passwd: User names and passwords the cluster's software needs.
pdu: Power distribution units.
pduoutlet: The power outlets nodes are plugged into.
performance: Measurements that monitoring has stored.
policy: Who may run which commands.
postscripts: Scripts that run on nodes after installation and after boot.
ppc: IBM Power nodes: hardware control point, partition, frame.
ppcdirect: Passwords of service processors that are controlled directly.
ppchcp: Users and passwords of HMCs and IVMs.
prescripts: Scripts that run on the management node around nodeset.
prodkey: Product keys of operating systems.
rack: Racks of the machine room.
routes: Routes that can be set on nodes.
servicenode: Which services a service node runs.
site: Settings for the whole cluster.
statelite: Where nodes keep the files listed in litefile.
storage: Volumes of storage systems given to nodes.
switch: The switch ports nodes are connected to.
switches: How switches are reached.
taskstate: What runs for a node at the moment.
token: Tokens of users of the web interface.
virtsd: Storage domains for virtual machines.
vm: Virtual machines.
vmmaster: Master images of virtual machines.
vpd: Vital product data: type, model and serial number.
websrv: Nodes that run a web server.
winimage: What a Windows osimage consists of.
zone: Zones: groups of nodes that share ssh keys.
zvm: Virtual machines of z/VM.
zvmivp: Runs of the z/VM installation verification.
"""

COLUMNS = """\
access: When the token was used last.
access_user: The user the verification runs as.
addkcmdline: Kernel parameters added to those xCAT generates.
adddhcpstatements: DHCP statements added to the node's entry.
adminpassword: The administrator's password in the domain.
adminuser: The administrator's name in the domain.
application: The program that reported the event.
appstatus: State of applications on the node, as monitoring sees them.
appstatustime: When appstatus was set.
arch: Architecture, such as ppc64, ppc64le or x86_64.
args: Arguments of the command.
asset: Inventory number.
attrname: What was measured.
attrvalue: The value measured.
audittime: When the command came.
auth: How SNMP version 3 authenticates: MD5 or SHA.
authdomain: The domain users are authenticated in.
authkey: Pass phrase of SNMP version 3 authentication.
authtype: How SNMP version 3 authenticates: MD5 or SHA.
basename: Name without version and release.
beacon: State of the identification light.
begin: Scripts that run before nodeset, separated by commas.
bmc: Address or name of the service processor.
bmcid: Hardware address of the service processor.
bmcport: Port of the machine the service processor uses.
bootorder: Devices to boot from, in order.
boottarget: Name of a row of boottarget that describes the boot.
bosinst_data: NIM resource of type bosinst_data.
bprofile: Name of the boot profile.
bridge: Kind of network bridge of the card.
cfgfile: The configuration file.
cfgmgr: The configuration manager, such as chef or puppet.
cfgserver: The configuration manager's server.
cfgstore: Where the virtual machine's definition is kept.
cfmdir: Directory of files kept in step with the nodes of the image.
chain: The steps to do, separated by commas.
chassis: The chassis the node is in.
clientname: The machine the command came from.
clienttype: The kind of client: cli, webui or other.
clockoffset: What the virtual machine's clock follows: utc or localtime.
cluster: The cluster of hypervisors.
cmd: The power command the dependency is for.
cmdinterface: The interface of the node for remote commands.
cmdmapping: File that maps commands to what the device understands.
command: Name of the command.
commands: Commands the rule is for, separated by commas; empty for all.
comments: Free text.
community: SNMP community.
compat_osbasenames: Other operating systems the repository fits.
component: The part that reported the event.
configdump: How much of the node's memory is dumped: selective, full or none.
cons: How the console is reached; mgt counts if it is empty.
conserver: The machine whose conserver serves the console; the management node if it is empty.
consoleenabled: Whether the node is registered with the console server.
consoleondemand: Whether the console is opened only when somebody looks.
consport: Port of the console.
controller: The storage system's control point.
cpucount: Number of processors.
cpus: Number of processors of the virtual machine.
cputype: Kind of processor.
crashkernelsize: Memory kept for the dump kernel.
created: When the token was given out.
cryptmethod: How the password is encrypted.
currchain: The steps still to do.
currstate: The step the node is at.
current_osimage: Not in use.
datacenter: The data centre.
ddnsdomain: The domain dynamic names are registered in.
defaultnet: The network of virtual machines that name none.
defaultzone: Whether this is the zone of nodes that name none.
description: What it is, in words.
dhcpinterfaces: Interfaces the DHCP server listens on.
dhcpserver: The DHCP server.
dhcpstatements: DHCP statements of the node's entry.
directory: The directory that holds the contents.
dirpath: The directory of the update.
dirpaths: Directories of the distribution, separated by commas.
disable: Set to yes or 1 to have the row ignored.
discovered: Whether the node was discovered.
discoverynics: Interfaces the node is discovered by.
discoverytime: When the node was discovered.
disksize: Sizes of the disks.
displayname: Name for people.
domain: DNS domain of the network.
downloadtime: When the update was downloaded.
driverpacks: Driver packages.
driverupdatesrc: Driver update disks and packages.
dump: NIM resource of type dump.
dynamicrange: Addresses given to unknown machines.
end: Scripts that run after nodeset, separated by commas.
environvar: Environment variables for the scripts of the image.
eventtime: When the event happened.
eventtype: The kind of event.
exlist: File that lists what is left out of the image.
expire: When the token ends.
fb_script: NIM resource of type fb_script, run at first boot.
fcprange: Range of fibre channel devices.
file: The file, from the root of the node.
filename: The module or program that is told.
ftpserver: Whether the service node runs an FTP server.
gateway: The router's address.
genimage_postinstall: Script that runs while the image is generated.
getmac: How hardware addresses are found out; mgt counts if it is empty.
groupname: Name of the group.
groups: Groups the object is in, separated by commas.
grouptype: static or dynamic.
guestostype: Operating system as the hypervisor calls it.
hcp: Hardware control point: the name of the HMC, IVM or service processor.
height: Height in rack units.
hidden: Set to 1 to leave the node out of lists.
home: NIM resource of type home.
host: The machine it runs on.
hostnames: Further names of the node, separated by blanks or commas.
hypervisor: The kind of hypervisor.
id: Number of the partition, cage or slot.
ifname: Interface the route goes through.
image: Name of the image; ALL or empty for every one.
image_data: NIM resource of type image_data.
imagename: Name of the osimage.
imagetype: linux, NIM or windows.
iname: The initiator's name.
initrd: Initial RAM disk.
installnic: The adapter the node is installed through.
installp_bundle: NIM resources of type installp_bundle, separated by commas.
installto: Disk and partition Windows is installed to.
interface: The adapter.
ip: Address of the node.
ipforward: Whether the service node forwards packets.
isdeletable: Whether the image may be deleted.
isinternal: Whether the kit is for xCAT's own use.
kcmdline: Kernel parameters.
kernel: Kernel.
kerneldir: Directory of a kernel of one's own.
kernelver: Version of the kernel.
key: Name of the setting.
kitcompdeps: Components needed with this one.
kitcompname: Name of the component.
kitcomponents: Kit components of the image, separated by commas.
kitdeployparams: File with parameters of the kit.
kitdir: Directory of the kit.
kitname: Name of the kit.
kitpkgdeps: Packages the component needs.
kitreponame: Name of the repository.
kitrepodir: Directory of the repository.
krpmver: Version of the kernel's package.
last_run: When it ran last.
ldapserver: Whether the service node runs an LDAP server.
linkports: Ports that lead to other switches.
location: Where the storage is.
logservers: Servers of the network that collect log messages.
lpp_source: NIM resource of type lpp_source.
lun: Number of the logical unit.
mac: Hardware addresses, separated by bars; a name may follow after an exclamation mark.
main_ivp_parms: Parameters of the verification.
majorversion: Major version.
mask: Netmask.
master: The master image the virtual machine was cloned from.
membergroups: Not in use.
members: static or dynamic, as grouptype; lsdef lists the nodes.
memory: Memory.
message: The message.
method: How it was done.
mgr: The manager of the virtual machines.
mgt: How the hardware is managed: hmc, ivm, fsp, bpa, ipmi, openbmc, blade and others.
mgtifname: The management node's interface in this network.
migrationdest: Where the virtual machine may go.
minorversion: Minor version.
mksysb: NIM resource of type mksysb.
monitor: The monitoring plug-in that recorded the event.
monnode: The node that does the monitoring.
monserver: Who monitors: on a node two names, as the management node and as the node see it.
mntopts: Mount options.
mpa: Name of the management module.
msdelay: Milliseconds to wait in between.
mtm: Machine type and model.
mtu: Largest packet.
name: Name.
nameserver: Whether the service node runs a name server.
nameservers: Name servers to use, separated by commas.
net: Address of the network.
netboot: How the node boots from the network: nimol, bootp, xnba, grub2, petitboot and others.
netdrivers: Drivers of network adapters.
netmap: Which network each virtual switch belongs to.
netname: Name of the network.
next_osimage: Not in use.
nfsdir: Directory that is mounted on the NFS server.
nfsserver: The NFS server, as the node sees it.
nicaliases: Further names per adapter.
nicdevices: Devices below each bond, bridge or VLAN.
nicdriver: Drivers of the adapters.
nicextraparams: Further parameters per adapter.
nicfirm: Firmware of the adapters.
nichostnameprefixes: What goes before the node's name, per adapter.
nichostnamesuffixes: What goes after the node's name, per adapter.
nichwaddr: Hardware addresses of the adapters.
nicips: Addresses per adapter: adapter!address|address,adapter!...
nicipv4: Addresses of the adapters.
nicloc: Locations of the adapters.
nicmodel: Model of the virtual adapter.
nicnetworks: Network of each address, per adapter.
niconboard: Which adapters are on the board.
nicpci: PCI addresses of the adapters.
nics: Networks the virtual machine's adapters are in.
nicsadapter: Adapters and what is known of them.
niccustomscripts: Scripts that configure an adapter.
nictypes: Kind of each adapter: Ethernet, Infiniband and others.
nimmethod: How the node is installed: rte or mksysb.
nimserver: The NIM master, as the node sees it.
nimtype: Kind of NIM client: standalone, diskless or dataless.
node: Name of the node or group.
nodebootif: The adapter the node boots from.
nodedep: Nodes it depends on, separated by commas.
nodehostname: Rule that makes the names of adapters in this network from nodes' names.
noderange: Nodes it is for, as a noderange.
nodestatmon: Whether this plug-in reports the state of nodes.
nodetype: What the node is: ppc, osi, hmc, fsp, bpa, mm, switch and others.
ntpserver: Whether the service node runs a time server.
ntpservers: Time servers of the network.
num: Number of the rack.
onboot: Whether it starts when its host boots.
ondiscover: What to do when the node is discovered.
options: How the file is handled.
orch_parms: Parameters of the part that drives the verification.
originator: Who made it.
os: Operating system: AIX, or a distribution with its version.
osarch: Architecture of the operating system.
osbasename: Name of the operating system.
osdistroname: Name of the distribution.
osmajorversion: Major version of the operating system.
osminorversion: Minor version of the operating system.
osname: Kind of operating system: AIX, Linux or Windows.
ostype: Operating system the kit is for.
osupdatename: Names of distribution updates, separated by commas.
osvers: Version of the operating system.
osvolume: The disk the operating system is installed on.
otherdata: Anything else it told.
otherifce: Further adapters.
otherinterfaces: Names and addresses of further interfaces: name:address,...
otherpkgdir: Directory of further packages.
otherpkglist: File that lists further packages.
otherpkgs: Further packages to install, separated by commas.
othersettings: Further settings of the virtual machine.
ou: Organisational unit.
outlet: Number of outlets.
paging: NIM resource of type paging.
parameters: Regular expression that the command's arguments must match.
parent: The frame or machine it belongs to.
partitionfile: File that says how disks are partitioned.
passwd: Password.
password: Password.
pdu: The outlets: unit:outlet, separated by commas.
pdutype: Kind of unit.
permission: Whether the image may be changed.
physlots: Physical slots given to the virtual machine.
pid: Number of the process.
pkgdir: Directory of the packages.
pkglist: File that lists the packages.
port: Port.
postbootscripts: Scripts that run after each boot, separated by commas.
postinstall: Script that runs when the image has been generated.
postscripts: Scripts that run after installation, separated by commas.
power: How the power is controlled; mgt counts if it is empty.
powermgt: Power management of the card.
powerstate: Power state found last.
pprofile: Partition profile.
preferdirect: Whether virtual machines are managed without the manager.
prep_parms: Parameters of the preparation.
prerequisite: Components that must be there first.
primarynic: The adapter the node is managed through.
primarysn: Not in use.
priority: Order of the rules: the smallest number comes first.
privacy: How SNMP version 3 encrypts: DES or AES.
privkey: Pass phrase of SNMP version 3 encryption.
privtype: How SNMP version 3 encrypts: DES or AES.
product: The product the key is for.
profile: Profile: the use the image is made for.
protocol: How commands reach the switch: ssh or telnet.
provmethod: How the node gets its system: the name of an osimage, or install, netboot, statelite.
proxydhcp: Whether the boot answers come from a proxy DHCP server.
rack: The rack the node is in.
rackname: Name of the rack.
rawdata: The event as it was received.
recid: Number of the record.
release: Release.
res_group: NIM resource group.
reserve: Who has reserved the node.
resolv_conf: NIM resource of type resolv_conf.
roles: Roles the configuration manager gives the node.
room: The room.
root: NIM resource of type root.
rootfstype: How the root file system is mounted: nfs or ramdisk.
nfsrootopts: Mount options of a root file system on NFS.
rootimgdir: Directory of the generated image.
routename: Name of the route.
routenames: Routes to set, separated by commas.
rule: What the rule says: allow, trusted or deny.
schedule: When it runs.
script: NIM resource of type script, run after installation.
sdtype: Kind of storage domain.
seclevel: Security level of SNMP version 3.
serial: Serial number.
serialflow: Flow control of the serial line.
serialport: Number of the serial port.
serialspeed: Speed of the serial line.
server: The server.
serverrole: Role of the machines the image is for.
serverroles: Roles of the machines the component is for.
servicenode: Service nodes of the node, the first one in use: names as the management node sees them.
severity: How bad it is.
sfp: The machine that collects events for the node.
shared_home: NIM resource of type shared_home.
shared_root: NIM resource of type shared_root.
side: Location of the power controller or service processor.
size: Size.
slot: The slot.
slots: Slots of the chassis.
snmpuser: User of SNMP version 3.
snmpversion: Version of SNMP.
specializeparameters: Parameters given to new virtual machines.
spot: NIM resource of type SPOT.
sshbetweennodes: Whether nodes reach each other by ssh without a password.
sshkeydir: Directory of the ssh keys.
sshpassword: Password for ssh and telnet.
sshusername: User name for ssh and telnet.
state: State.
statemnt: Where the files are kept: server:directory.
staticrange: Addresses given to nodes in order.
staticrangeincrement: Step from one such address to the next.
status: State.
nodelist.status: State of the node, set while it is powered, installed and booted.
statustime: When status was set.
storage: Where the disks are.
storagecache: Cache mode of the disks.
storageformat: Format of the disks.
storagemodel: Model of the disks.
storagepool: The storage pool.
stype: Kind of storage.
supernode: The supernode the machine is in.
supportedarchs: Architectures the node can run.
switch: The switch.
switchaddr: Addresses of the switches it was seen at.
switchdesc: Descriptions of the switches it was seen at.
switchname: Names of the switches it was seen at.
switchport: Ports of the switches it was seen at.
switchtype: Kind of switch.
synclists: File that lists what is copied to the nodes.
syslog: Where the node sends log messages.
tableops: Kinds of changes: a added, u updated, d deleted.
tables: The tables watched, separated by commas.
taggedvlan: VLAN of the service processor.
target: The target's name.
template: Template of the installation.
termport: Port of the terminal server.
termserver: The terminal server.
textconsole: Whether the console is text.
tftpdir: Directory of the TFTP server.
tftpserver: The TFTP server, as the node sees it.
time: Not in use.
timestamp: When it was measured.
tmp: NIM resource of type tmp.
tokenid: The token.
type: Kind.
type_of_run: Kind of run.
u: Position in the rack.
updatestatus: Result of the last updatenode.
updatestatustime: When updatestatus was set.
urlpath: Path of the management module's web page.
userid: The user.
username: User name.
uuid: The machine's unique number.
value: The setting's value.
version: Version.
vidmodel: Model of the graphics card.
vidpassword: Password of the graphical console.
vidproto: Protocol of the graphical console.
vintage: When it was made.
virtflags: Further flags of the hypervisor.
virttype: Kind of virtualisation.
vlan: VLAN of the port.
vlanid: Number of the VLAN.
vlog: Whether the card keeps a log.
vncport: Port of the graphical console.
volumetag: Name given to the volume.
wherevals: Conditions of a dynamic group, joined by two colons.
winpepath: Path of the boot environment.
xcatmaster: The management or service node, as the node sees it.
xml: The definition.
zonename: Name of the zone.
servicenode.conserver: Whether the service node runs conserver.
servicenode.dhcpserver: Whether the service node runs a DHCP server.
servicenode.monserver: Whether the service node monitors its nodes.
servicenode.nfsserver: Whether the service node runs an NFS server.
servicenode.nimserver: Whether the service node is a NIM master.
servicenode.proxydhcp: Whether the service node runs a proxy DHCP server.
servicenode.tftpserver: Whether the service node runs a TFTP server.
linuximage.dump: Where the kernel's dump goes.
networks.tftpserver: The TFTP server of the network.
switch.port: Port of the switch.
vm.cluster: The cluster of hypervisors the virtual machine may run in.
"""
