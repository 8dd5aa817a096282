"""Where the processes of a session listen."""

import ipaddress
from pathlib import Path

from tests.helpers.ray_grid import session_processes

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LISTENS = "0A"


def listening(session: int) -> dict[tuple[Address, int], str]:
    """TCP sockets that processes of a session listen on: (address, port) -> process."""
    owners = {}
    for pid, name in session_processes(session).items():
        try:
            links = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        owners |= {link[8:-1]: name for link in links if link.startswith("socket:[")}
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENS and fields[9] in owners:
                address, port = fields[1].split(":")
                found[_address(address), int(port, 16)] = owners[fields[9]]
    return found


def _address(digits: str) -> Address:
    """An address as the kernel writes it: words of four bytes, the lowest first."""
    words = [bytes.fromhex(digits[i : i + 8])[::-1] for i in range(0, len(digits), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
