"""The facts about object definitions, as text (docs/facts/database.md, Object definitions).

A type begins with a line ``TYPE KEY-ATTRIBUTE TABLE.KEY-COLUMN``; its entries follow, indented, continuation lines
indented deeper: ``TABLE ROW[ if ATTRIBUTE=VALUE|VALUE]: ATTRIBUTES``.  ROW says which row belongs to the object:
``COLUMN=NAME``, NAME being the object's name, and further ``COLUMN=text`` separated by commas.  An
attribute stored in a column of another name is written ``attribute:column``.  Entries are in the order in
which they are read, for a later one wins.
"""

from __future__ import annotations

#: What nodes and groups have in common: rows keyed by the node's or group's name.
NODE_OR_GROUP = """\
    nodetype node=NAME: nodetype arch supportedarchs os profile provmethod
    postscripts node=NAME: postscripts postbootscripts
    noderes node=NAME: xcatmaster servicenode tftpserver tftpdir nfsserver nimserver nfsdir
        monserver supportproxydhcp:proxydhcp syslog primarynic installnic netboot nameservers
        routenames
    bootparams node=NAME: kernel initrd kcmdline addkcmdline
    servicenode node=NAME: setupnameserver:nameserver setupdhcp:dhcpserver setuptftp:tftpserver
        setupnfs:nfsserver setupconserver:conserver setupipforward:ipforward
        setupproxydhcp:proxydhcp setupldap:ldapserver setupntp:ntpserver setupftp:ftpserver
        setupnim:nimserver dhcpinterfaces
    iscsi node=NAME: iscsiserver:server iscsitarget:target iscsiuserid:userid
        iscsipassword:passwd
    nodehm node=NAME: mgt power cons termserver termport conserver getmac cmdmapping serialport
        serialspeed serialflow consoleondemand consoleenabled
    vpd node=NAME: serial mtm side
    mac node=NAME: interface mac
    chain node=NAME: chain ondiscover currstate currchain
    ppchcp hcp=NAME if nodetype=ivm|hmc|ppc: username password
    ppc node=NAME: hcp id supernode sfp
    ppc node=NAME if mgt=hmc|ivm|fsp: pprofile
    ppc node=NAME if mgt=hmc|ivm|bpa|fsp: parent
    ppc node=NAME if mgt=fsp|bpa|ivm|hmc|zvm: hwtype:nodetype
    mp node=NAME if mgt=blade|ipmi|openbmc: hwtype:nodetype
    ppcdirect hcp=NAME,username=HMC if mgt=fsp|bpa: passwd.HMC:password
    ppcdirect hcp=NAME,username=hscroot if mgt=fsp|bpa: passwd.hscroot:password
    ppcdirect hcp=NAME,username=admin if mgt=fsp|bpa: passwd.admin:password
    ppcdirect hcp=NAME,username=general if mgt=fsp|bpa: passwd.general:password
    ppcdirect hcp=NAME,username=celogin if mgt=fsp|bpa: passwd.celogin:password
    zvm node=NAME if mgt=zvm: hcp userid
    ipmi node=NAME if mgt=ipmi: bmc bmcport bmcusername:username bmcpassword:password
        bmcvlantag:taggedvlan
    mp node=NAME: mpa
    mp node=NAME if mgt=fsp|ipmi: slotid:id
    mp node=NAME if mgt=blade: id
    mpa mpa=NAME if nodetype=mm: username password displayname slots urlpath
    openbmc node=NAME if mgt=openbmc: bmc bmcusername:username bmcpassword:password consport
        bmcvlantag:taggedvlan
    nodepos node=NAME: rack unit:u chassis slot room height
    nics node=NAME: nicips nichostnamesuffixes nichostnameprefixes nictypes niccustomscripts
        nicnetworks nicaliases nicextraparams nicdevices nicsadapter
    prodkey node=NAME: productkey:key
    domain node=NAME: ou domainadminuser:adminuser domainadminpassword:adminpassword authdomain
        domaintype:type
    storage node=NAME: osvolume storagcontroller:controller storagetype:type
    vm node=NAME: vmmanager:mgr vmhost:host migrationdest vmstorage:storage vmphyslots:physlots
        vmothersetting:othersettings vmstoragemodel:storagemodel vmstoragecache:storagecache
        vmstorageformat:storageformat vmcfgstore:cfgstore vmmemory:memory vmcpus:cpus
        vmnics:nics vmnicnicmodel:nicmodel vmbootorder:bootorder vmvirtflags:virtflags
        vmmaster:master vmvncport:vncport vmtextconsole:textconsole vmbeacon:beacon
        vmcluster:cluster
    hypervisor node=NAME: hosttype:type hostinterface:interface hostmanager:mgr
        hostcluster:cluster
    websrv node=NAME if nodetype=websrv: webport:port username password
    pduoutlet node=NAME: pdu
    switch node=NAME: switch switchport:port switchvlan:vlan switchinterface:interface
    hosts node=NAME: ip hostnames otherinterfaces
    prescripts node=NAME: prescripts-begin:begin prescripts-end:end
    cfgmgt node=NAME: cfgmgr cfgserver cfgmgtroles:roles
    mic node=NAME if mgt=mic: michost:host micid:id hwtype:nodetype micbridge:bridge
        miconboot:onboot micvlog:vlog micpowermgt:powermgt
    hwinv node=NAME: cputype cpucount memory disksize
    pdu node=NAME if nodetype=pdu: nodetype pdutype outlet username password snmpversion
        community snmpuser authtype authkey privtype privkey seclevel
    switches switch=NAME if nodetype=switch: snmpusername:username snmppassword:password
        snmpversion snmpprivacy:privacy snmpauth:auth linkports username:sshusername
        password:sshpassword protocol switchtype
"""

TYPES = (
    """\
node node nodelist.node
    nodelist node=NAME: node groups status statustime appstatus appstatustime primarysn hidden
        updatestatus updatestatustime zonename usercomment:comments
"""
    + NODE_OR_GROUP
    + """\
group groupname nodegroup.groupname
    nodegroup groupname=NAME: groupname grouptype members membergroups wherevals
        usercomment:comments
"""
    + NODE_OR_GROUP
    + """\
auditlog recid auditlog.recid
    auditlog recid=NAME: recid audittime userid clientname clienttype command noderange args
        status comments disable
boottarget bprofile boottarget.bprofile
    boottarget bprofile=NAME: bprofile kernel initrd kcmdline comments
eventlog recid eventlog.recid
    eventlog recid=NAME: recid eventtime eventtype monitor monnode node application component id
        severity message rawdata comments disable
firmware cfgfile firmware.cfgfile
    firmware file=NAME: cfgfile comments disable
kit kitname kit.kitname
    kit kitname=NAME: kitname basename description version release ostype isinternal
        kitdeployparams kitdir
kitcomponent kitcompname kitcomponent.kitcompname
    kitcomponent kitcompname=NAME: kitcompname description kitname kitreponame basename version
        release serverroles kitpkgdeps prerequisite driverpacks kitcompdeps postbootscripts
        genimage_postinstall exlist
kitrepo kitreponame kitrepo.kitreponame
    kitrepo kitreponame=NAME: kitreponame kitname osbasename osmajorversion osminorversion
        osarch compat_osbasenames kitrepodir
monitoring name monitoring.name
    monitoring name=NAME: name nodestatmon comments disable
network netname networks.netname
    networks netname=NAME: netname net mask mgtifname gateway dhcpserver tftpserver nameservers
        ntpservers logservers dynamicrange nodehostname ddnsdomain vlanid domain staticrange
        staticrangeincrement mtu usercomment:comments
notification filename notification.filename
    notification filename=NAME: filename tables tableops comments
osdistro osdistroname osdistro.osdistroname
    osdistro osdistroname=NAME: osdistroname basename majorversion minorversion arch type
        dirpaths
osdistroupdate osupdatename osdistroupdate.osupdatename
    osdistroupdate osupdatename=NAME: osupdatename osdistroname dirpath downloadtime
        usercomment:comments
osimage imagename osimage.imagename
    osimage imagename=NAME: imagename groups imagetype description provmethod osdistroname
        osupdatename cfmdir profile osname osvers osarch synclists postscripts postbootscripts
        serverrole isdeletable kitcomponents environvar
    osimage imagename=NAME if imagetype=linux: rootfstype nfsrootopts
    linuximage imagename=NAME if imagetype=linux: template boottarget addkcmdline pkglist pkgdir
        otherpkglist otherpkgdir exlist postinstall rootimgdir kerneldir nodebootif otherifce
        netdrivers kernelver krpmver permission dump crashkernelsize partitionfile
        driverupdatesrc usercomment:comments
    winimage imagename=NAME if imagetype=windows: template installto partitionfile winpepath
    nimimage imagename=NAME if imagetype=NIM: nimtype nimmethod lpp_source spot root dump
        configdump paging resolv_conf image_data tmp home shared_home shared_root script
        fb_script bosinst_data installp_bundle otherpkgs mksysb usercomment:comments
pdu node pdu.node
    pdu node=NAME if nodetype=pdu: node nodetype outlet
policy priority policy.priority
    policy priority=NAME: priority name host commands noderange parameters time rule
        usercomment:comments
rack rackname rack.rackname
    rack rackname=NAME: rackname displayname num height room usercomment:comments
route routename routes.routename
    routes routename=NAME: routename net mask gateway ifname usercomment:comments
taskstate node taskstate.node
    taskstate node=NAME: node command state pid reserve disable
zone zonename zone.zonename
    zone zonename=NAME: zonename sshkeydir sshbetweennodes defaultzone usercomment:comments
zvmivp id zvmivp.id
"""
)
