"""How many threads a process uses, on fake /proc and /sys trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_rt.native.cores import Cores, cpu_list, default_threads, usable_cores

V2 = "32 31 0:29 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "30 29 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
    "33 30 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
    "34 30 0:31 / /sys/fs/cgroup/cpuset rw,nosuid - cgroup cgroup rw,cpuset\n"
)
HYBRID = V1 + "35 30 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"


class Tree:
    """A file system with the files that the count of threads reads."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def file(self, path: str, text: str) -> Tree:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return self

    def mounts(self, text: str, membership: str) -> Tree:
        return self.file("proc/self/mountinfo", text).file("proc/self/cgroup", membership)

    def siblings(self, *groups: str) -> Tree:
        for text in groups:
            for cpu in cpu_list(text):
                self.file(f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", text + "\n")
        return self

    def capacities(self, *values: int) -> Tree:
        for cpu, value in enumerate(values):
            self.file(f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity", f"{value}\n")
        return self

    def cores(self, cpus: int = 4) -> Cores:
        return usable_cores(self.root, range(cpus))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_without_any_of_these_files_all_allowed_cpus_are_used(tree: Tree) -> None:
    cores = tree.cores()
    assert (cores.allowed, cores.used, cores.quota, cores.threads) == ((0, 1, 2, 3), (0, 1, 2, 3), None, 4)


# ---- quotas ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quota", "threads"),
    [("max 100000", 4), ("50000 100000", 1), ("100000 100000", 1), ("150000 100000", 2), ("20000 10000", 2),
     ("250000 100000", 3), ("900000 100000", 4)],
)  # fmt: skip
def test_a_quota_of_version_2_is_rounded_up(tree: Tree, quota: str, threads: int) -> None:
    tree.mounts(V2, "0::/a\n").file("sys/fs/cgroup/a/cpu.max", quota + "\n")
    assert tree.cores().threads == threads


def test_the_tightest_quota_above_counts(tree: Tree) -> None:
    tree.mounts(V2, "0::/a/b/c\n").file("sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n")
    assert tree.cores().quota is None
    tree.file("sys/fs/cgroup/a/cpu.max", "150000 100000\n")
    assert tree.cores().quota == 1.5
    tree.file("sys/fs/cgroup/a/b/cpu.max", "300000 100000\n")
    assert tree.cores().quota == 1.5
    tree.file("sys/fs/cgroup/a/b/c/cpu.max", "50000 100000\n")
    assert tree.cores().quota == 0.5
    assert "a quota of 0.5 CPUs" in str(tree.cores())


def test_quota_of_version_1(tree: Tree) -> None:
    tree.mounts(V1, "5:cpuacct,cpu:/a/b\n4:memory:/other\n3:cpuset:/\n")
    folder = "sys/fs/cgroup/cpu,cpuacct/a"
    tree.file(f"{folder}/b/cpu.cfs_quota_us", "-1\n").file(f"{folder}/b/cpu.cfs_period_us", "100000\n")
    assert tree.cores().quota is None
    tree.file(f"{folder}/cpu.cfs_quota_us", "250000\n").file(f"{folder}/cpu.cfs_period_us", "100000\n")
    assert tree.cores().quota == 2.5
    assert tree.cores().threads == 3


def test_quota_where_both_versions_are_mounted(tree: Tree) -> None:
    tree.mounts(HYBRID, "5:cpu,cpuacct:/a\n0::/b\n")
    folder = "sys/fs/cgroup/cpu,cpuacct/a"
    tree.file(f"{folder}/cpu.cfs_quota_us", "300000\n").file(f"{folder}/cpu.cfs_period_us", "100000\n")
    assert tree.cores().quota == 3
    tree.file("sys/fs/cgroup/unified/b/cpu.max", "200000 100000\n")
    assert tree.cores().quota == 2


def test_a_container_sees_its_own_cgroup_as_the_mounted_one(tree: Tree) -> None:
    mounted = V2.replace("0:29 / ", "0:29 /docker/4e1d ")
    tree.mounts(mounted, "0::/docker/4e1d\n").file("sys/fs/cgroup/cpu.max", "200000 100000\n")
    assert tree.cores().threads == 2
    tree.mounts(mounted, "0::/docker/4e1d/inner\n").file("sys/fs/cgroup/inner/cpu.max", "100000 100000\n")
    assert tree.cores().threads == 1
    # the host's path where only the container's folder is mounted, and a path outside of the namespace
    tree.mounts(V2, "0::/../outside\n")
    assert tree.cores().threads == 2


def test_what_the_kernel_never_writes_is_no_quota(tree: Tree) -> None:
    tree.mounts("nonsense\n" + V2, "0::/a\nnonsense\n").file("sys/fs/cgroup/a/cpu.max", "nonsense\n")
    assert tree.cores().quota is None
    assert tree.cores().threads == 4


# ---- cpusets --------------------------------------------------------------------------------------------------------


def test_cpuset_of_version_2(tree: Tree) -> None:
    tree.mounts(V2, "0::/a/b\n").file("sys/fs/cgroup/a/cpuset.cpus.effective", "1-2,7\n")
    assert tree.cores().allowed == (1, 2)
    tree.file("sys/fs/cgroup/a/b/cpuset.cpus.effective", "2\n")
    assert tree.cores().allowed == (2,)


def test_cpuset_of_version_1(tree: Tree) -> None:
    tree.mounts(V1, "3:cpuset:/a\n").file("sys/fs/cgroup/cpuset/cpuset.cpus", "0-3\n")
    tree.file("sys/fs/cgroup/cpuset/a/cpuset.effective_cpus", "0,3\n")
    assert tree.cores().allowed == (0, 3)


def test_an_empty_cpuset_file_leaves_the_decision_to_those_above(tree: Tree) -> None:
    tree.mounts(V2, "0::/a\n").file("sys/fs/cgroup/a/cpuset.cpus", "\n")
    assert tree.cores().threads == 4
    tree.file("sys/fs/cgroup/cpuset.cpus.effective", "0-1\n")
    assert tree.cores().threads == 2


def test_affinity_is_kept(tree: Tree) -> None:
    tree.mounts(V2, "0::/\n").file("sys/fs/cgroup/cpuset.cpus.effective", "0-7\n")
    assert usable_cores(tree.root, [5, 6]).allowed == (5, 6)


def test_default_threads_follow_the_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert default_threads() == 1


# ---- topology -------------------------------------------------------------------------------------------------------


def test_threads_of_one_core_count_once(tree: Tree) -> None:
    tree.siblings("0,4", "1,5", "2,6", "3,7")
    assert tree.cores(8).used == (0, 1, 2, 3)
    assert usable_cores(tree.root, [4, 5, 1]).used == (1, 4)
    tree.siblings("0-1", "2-3")
    assert tree.cores(4).used == (0, 2)
    assert str(tree.cores(4)).startswith("4 CPUs allowed, 2 of them big cores")


def test_big_cores_only(tree: Tree) -> None:
    tree.capacities(414, 414, 414, 414, 1024, 1024, 1024, 1024)  # RK3588
    assert tree.cores(8).used == (4, 5, 6, 7)
    assert tree.cores(4).used == (0, 1, 2, 3)  # the cpuset leaves the little ones
    assert usable_cores(tree.root, [2, 3, 4]).threads == 1


def test_cores_that_differ_a_little_are_all_used(tree: Tree) -> None:
    tree.capacities(160, 160, 160, 160, 498, 760, 1024, 1024)
    assert tree.cores(8).used == (5, 6, 7)
    tree.capacities(768, 768, 768, 768, 1024, 1024)
    assert tree.cores(6).threads == 6
    tree.capacities(1024, 1024, 1024, 1024)
    assert tree.cores().threads == 4


def test_without_capacities_of_all_cores_none_is_left_out(tree: Tree) -> None:
    tree.capacities(414, 1024)
    assert tree.cores().threads == 4


def test_quota_and_topology_together(tree: Tree) -> None:
    tree.siblings("0-1", "2-3", "4-5", "6-7").mounts(V2, "0::/a\n")
    tree.file("sys/fs/cgroup/a/cpu.max", "600000 100000\n")
    assert tree.cores(8).threads == 4
    tree.file("sys/fs/cgroup/a/cpu.max", "250000 100000\n")
    assert tree.cores(8).threads == 3


@pytest.mark.parametrize(("text", "cpus"), [("0", [0]), ("0-3\n", [0, 1, 2, 3]), ("1,3-4,9", [1, 3, 4, 9]), ("\n", [])])
def test_cpu_list(text: str, cpus: list[int]) -> None:
    assert cpu_list(text) == cpus


def test_cpu_list_refuses_other_texts() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        cpu_list("0-x")
