"""What the real commands of some Macs say, as their probes' outputs; no Mac was at hand to take them from.

They follow the documented and published outputs of these commands, with what differs filled in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from clusters.facts.probes import PROBES, Output

IFCONFIG = """\
lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> mtu 16384
\tinet 127.0.0.1 netmask 0xff000000
\tinet6 ::1 prefixlen 128
en0: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\tether a4:83:e7:00:00:01
\tinet6 fe80::1c3f:aaaa:bbbb:cccc%en0 prefixlen 64 secured scopeid 0x6
\tinet {ip} netmask 0xffffff00 broadcast 192.168.1.255
\tstatus: active
bridge0: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\tinet 169.254.10.20 netmask 0xffff0000 broadcast 169.254.255.255
utun4: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1280
\tinet 100.64.0.3 --> 100.64.0.3 netmask 0xffffffff
"""
ROUTE = """\
   route to: 192.168.1.11
destination: 192.168.1.11
  interface: {interface}
      flags: <UP,HOST,DONE,LLINFO,WASCLONED,IFSCOPE,IFREF>
"""
APPLE = """\
hw.perflevel0.physicalcpu: {}
hw.perflevel0.name: Performance
hw.perflevel1.physicalcpu: {}
hw.perflevel1.name: Efficiency
hw.optional.arm64: 1
sysctl.proc_translated: {}
"""
INTEL = """\
sysctl: unknown oid 'hw.perflevel0.physicalcpu'
sysctl: unknown oid 'hw.perflevel1.physicalcpu'
sysctl: unknown oid 'hw.optional.arm64'
sysctl: unknown oid 'sysctl.proc_translated'
"""
PMSET_LAPTOP = """\
Battery Power:
 displaysleep         2
 sleep                1
 womp                 0
AC Power:
 displaysleep         10
 sleep                {sleep} (sleep prevented by powerd)
 womp                 1
"""
PMSET_DESKTOP = """\
AC Power:
 womp                 1
 autorestart          1
 sleep                {sleep}
 displaysleep         0
"""
BATTERY = """\
Now drawing from '{source}'
 -InternalBattery-0 (id=4653155)\t83%; discharging; 4:12 remaining present: true
"""
FIREWALL = """\
{state}
{block}
Total number of apps = {total}
1 : /usr/sbin/cupsd
             (Allow incoming connections)

2 : /opt/homebrew/bin/python3.13
             ({rule})
{more}"""
FIREWALL_STATES = {
    "disabled": ("Firewall is disabled. (State = 0)", "Firewall has block all state set to disabled."),
    "enabled": ("Firewall is enabled. (State = 1)", "Firewall has block all state set to disabled."),
    "blocks all": (
        "Firewall is blocking all non-essential incoming connections. (State = 2)",
        "Firewall has block all state set to enabled.",
    ),
    "disabled, as older ones say it": ("Firewall is disabled. (State = 0)", "Block all DISABLED! "),
    "enabled, as older ones say it": ("Firewall is enabled. (State = 1)", "Block all DISABLED! "),
    "blocks all, as older ones say it": ("Firewall is enabled. (State = 1)", "Block all ENABLED! "),
}


def mac(
    *,
    chip: str = "Apple M2 Ultra",
    memory_gb: int = 64,
    cores: tuple[int, int] = (16, 8),
    version: str = "15.5",
    ip: str = "192.168.1.11",
    uuid: str = "11111111-2222-3333-4444-555555555555",
    interface: str = "en0",
    translated: bool = False,
    intel: bool = False,
    sleep_min: int = 0,
    laptop: bool = False,
    battery: bool = False,
    firewall: str = "disabled",
    python_blocked: bool = False,
    allowed: Sequence[str] = (),
    low_power: int | None = 0,
    filevault: bool = False,
    display: bool = True,
    swap_mb: float = 0.0,
) -> dict[str, Output]:
    """The outputs of one Mac."""
    gpu = {
        "_name": chip,
        "sppci_cores": "60",
        "spdisplays_mtlgpufamilysupport": "spdisplays_metal3",
        **({"spdisplays_ndrvs": [{"_name": "Studio Display"}]} if display else {}),
    }
    state, block = FIREWALL_STATES[firewall]
    source = "Battery Power" if battery else "AC Power"
    said = {
        "uuid": f'+-o Mac14,14  <class IOPlatformExpertDevice>\n    {{\n      "IOPlatformUUID" = "{uuid}"\n'
        "    }",
        "hardware": (
            f"machdep.cpu.brand_string: {chip}\nhw.memsize: {memory_gb * 2**30}\n"
            f"hw.physicalcpu: {sum(cores)}\n"
            f"{INTEL if intel else APPLE.format(*cores, int(translated))}"
            f"vm.swapusage: total = 2048.00M  used = {swap_mb:.2f}M  free = 0.00M  (encrypted)"
        ),
        "machine": "x86_64" if translated or intel else "arm64",
        "version": f"ProductName:\t\tmacOS\nProductVersion:\t\t{version}\nBuildVersion:\t\t24F74",
        "addresses": IFCONFIG.format(ip=ip),
        "route": ROUTE.format(interface=interface),
        "firewall": FIREWALL.format(
            state=state,
            block=block,
            rule="Block incoming connections" if python_blocked else "Allow incoming connections",
            total=2 + len(allowed),
            more="".join(
                f"{number} : {path}\n             (Allow incoming connections)\n"
                for number, path in enumerate(allowed, 3)
            ),
        ),
        "sleep": (PMSET_LAPTOP if laptop else PMSET_DESKTOP).format(sleep=sleep_min)
        + ("" if low_power is None else f" lowpowermode         {low_power}\n"),
        "battery": BATTERY.format(source=source) if laptop else f"Now drawing from '{source}'",
        "displays": json.dumps({"SPDisplaysDataType": [gpu]}),
        "filevault": f"FileVault is {'On' if filevault else 'Off'}.",
        "heat": "Note: No thermal warning level has been recorded\n",
        "files": "soft 256\nhard unlimited",
        "disk": "Filesystem 1024-blocks Used Available Capacity  Mounted on\n"
        "/dev/disk3s5 971350180 400000000 500000000 45%    /System/Volumes/Data",
    }
    return {
        probe.name: Output(probe.darwin or "", 0, said[probe.name].rstrip("\n") + "\n") for probe in PROBES
    }
