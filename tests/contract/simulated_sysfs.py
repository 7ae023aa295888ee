"""A board's /sys and /proc as a folder, so that tests decide what happens to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BOOT = "0b9f7c52-8d8c-4d3c-9d7c-2f2a1c0c9f11"


@dataclass(frozen=True, kw_only=True)
class Sysfs:
    """The tree below ``root``: ``set`` writes one file of it."""

    root: Path

    def set(self, path: str, content: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content}\n", encoding="utf-8")

    def get(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8").strip()

    def change(self, path: str, content: str) -> tuple[str, ...]:
        """Return a command that changes a file while it runs."""
        return ("sh", "-c", 'echo "$2" > "$1"', "change", str(self.root / path), content)


CPU = "sys/devices/system/cpu"
GOVERNORS = tuple(f"{CPU}/cpu{n}/cpufreq/scaling_governor" for n in range(4))
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
ZONE = "sys/class/thermal/thermal_zone0"
COOLING = "sys/class/thermal/cooling_device0"


def raspberry(root: Path) -> Sysfs:
    """Return the tree of an idle Raspberry Pi 4."""
    tree = Sysfs(root=root)
    tree.set("proc/sys/kernel/random/boot_id", BOOT)
    tree.set("proc/uptime", "1000.00 3900.00")
    tree.set("proc/self/status", "Name:\tsh\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3")
    lines = [f"cpu{n} 1000 0 500 90000 20 0 10 0 0 0" for n in range(4)]
    tree.set("proc/stat", "\n".join(["cpu  4000 0 2000 360000 80 0 40 0 0 0", *lines, "intr 1 2"]))
    tree.set("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    for number in range(4):
        core = f"{CPU}/cpu{number}"
        tree.set(f"{core}/cpufreq/scaling_governor", "ondemand")
        tree.set(f"{core}/cpufreq/scaling_cur_freq", "600000")
        tree.set(f"{core}/cpufreq/scaling_min_freq", "600000")
        tree.set(f"{core}/cpufreq/scaling_max_freq", "1500000")
        tree.set(f"{core}/cpufreq/cpuinfo_max_freq", "1500000")
        tree.set(f"{core}/topology/thread_siblings_list", str(number))
    tree.set(f"{CPU}/cpuidle/current_driver", "none")  # begins with cpu, but is no core
    tree.set("sys/class/devfreq/57000000.gpu/cur_freq", "500000000")
    tree.set(f"{ZONE}/type", "cpu-thermal")
    tree.set(f"{ZONE}/temp", "48686")
    tree.set(f"{COOLING}/type", "cpufreq-cpu0")
    tree.set(f"{COOLING}/cur_state", "0")
    tree.set("sys/class/thermal/cooling_device1/type", "gpio-fan")
    tree.set("sys/class/thermal/cooling_device1/cur_state", "3")
    tree.set(f"{CPU}/cpu0/thermal_throttle/core_throttle_count", "7")
    tree.set(FIRMWARE, "50000")
    return tree
