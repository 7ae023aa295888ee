"""Free memory is what the kernel and every control group around this process leave."""

from __future__ import annotations

from pathlib import Path

from builder.payload.free_memory import free_bytes, own_bytes

MIB = 1 << 20


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return root


MEMINFO = {"proc/meminfo": "MemTotal: 8388608 kB\nMemAvailable: 2097152 kB\n"}


def test_what_is_available_counts_and_not_the_total(tmp_path: Path) -> None:
    assert free_bytes(machine(tmp_path, MEMINFO)) == 2048 * MIB


def test_nothing_tells_where_there_is_no_proc(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) is None


def test_a_group_of_version_2_leaves_what_it_does_not_use(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/user/inner"
    files = {
        "proc/self/cgroup": "0::/user/inner\n",
        f"{group}/memory.max": str(512 * MIB),
        f"{group}/memory.current": str(300 * MIB),
        f"{group}/memory.stat": f"anon 1\ninactive_file {100 * MIB}\n",
    }
    assert free_bytes(machine(tmp_path, MEMINFO | files)) == 312 * MIB


def test_a_group_without_limit_counts_those_around_it(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/user/inner\n",
        "sys/fs/cgroup/user/inner/memory.max": "max\n",
        "sys/fs/cgroup/user/memory.max": str(64 * MIB),
        "sys/fs/cgroup/user/memory.current": str(60 * MIB),
    }
    assert free_bytes(machine(tmp_path, MEMINFO | files)) == 4 * MIB


def test_a_group_of_version_1_that_is_seen_from_inside_its_container(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "3:cpu:/docker/ab\n2:memory:/docker/ab\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": str(256 * MIB),
        "sys/fs/cgroup/memory/memory.usage_in_bytes": str(300 * MIB),
    }
    assert free_bytes(machine(tmp_path, MEMINFO | files)) == 0


def test_no_limit_of_version_1_is_a_large_number(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "2:memory:/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2**63 - 4096),
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "0",
    }
    assert free_bytes(machine(tmp_path, MEMINFO | files)) == 2048 * MIB


def test_what_this_process_has_is_known() -> None:
    assert own_bytes() > MIB
