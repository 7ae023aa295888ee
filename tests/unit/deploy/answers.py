"""Answers of boards, as their scripts write them."""

from __future__ import annotations

from builder.deploy.facts import DeviceFacts, facts_of
from builder.deploy.replies import Replies, parse_replies

JETSON = """\
machine aarch64
kernel Linux 4.9.253-tegra
uptime_s 4242
date 1970-01-01T00:01:00Z
boot 11111111-2222
user nano
os "Ubuntu 18.04.5 LTS"
board NVIDIA Jetson Nano Developer Kit
l4t # R32 (release), REVISION: 6.1
glibc glibc 2.27
loader /lib/ld-linux-aarch64.so.1
features Features fp asimd evtstrm aes pmull sha1 sha2 crc32
cores 4
MemTotal 4059712
MemAvailable 3000000
governor schedutil
current_khz 1479000
least_khz 102000
most_khz 1479000
clock 1600000000 57000000.gpu
clock fast emc
sensor 41500 CPU-therm
sensor 41 odd driver
tool flock
tool sha256sum
root /home/nano/boardwright
place /home/nano/boardwright
writable yes
owned yes
root_state there
mount / ext4 rw,relatime
free_kib 9000000
"""


def replies(text: str) -> Replies:
    """Return an answer from lines of ``key value``."""
    lines = "".join(f"n1 {line}\n" for line in text.splitlines())
    return parse_replies((lines + "n1 end\n").encode(), "n1", where="nano")


def jetson(**changes: str) -> DeviceFacts:
    """Return the facts of a Jetson Nano that has other values for some keys; "" is none."""
    kept = [line for line in JETSON.splitlines() if line.partition(" ")[0] not in changes]
    lines = [*kept, *(f"{key} {value}" for key, value in changes.items() if value)]
    return facts_of(replies("\n".join(lines)), where="nano")
