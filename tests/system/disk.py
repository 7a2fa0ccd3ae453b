"""Small disks of a test's own, and how they are filled."""
import contextlib
import os
import shutil
import subprocess

import place
import pytest

needs_root = pytest.mark.skipif(not place.is_root(), reason="THE FULL DISK IS NOT TESTED HERE: mounting a tmpfs needs root")


def mount(point, options):
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", point], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"THE FULL DISK IS NOT TESTED HERE: no tmpfs may be mounted: {done.stderr.decode().strip()}")


@contextlib.contextmanager
def small(size="48m"):
    """A new folder on one."""
    with place.work_folder() as point:
        mount(point, f"size={size},mode=755")
        try:
            yield point
        finally:
            subprocess.run(["umount", point], check=True)


@contextlib.contextmanager
def under(folder, size):
    """One in a folder's place, with what the folder holds."""
    was, kept = folder.stat(), folder.with_name(folder.name + ".kept")
    folder.rename(kept)
    folder.mkdir()
    mount(folder, f"size={size},uid={was.st_uid},gid={was.st_gid},mode={was.st_mode & 0o777:o}")
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", folder], check=True)
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
        shutil.rmtree(kept)


@contextlib.contextmanager
def full(folder):
    """To the last octet, while the block runs."""
    ballast = folder / "ballast"
    fill(ballast)
    try:
        yield
    finally:
        ballast.unlink()


def fill(path):
    with open(path, "wb", buffering=0) as ballast:
        size = 1 << 20
        while size:
            try:
                ballast.write(b"\0" * size)
            except OSError:
                size //= 2
        os.fsync(ballast.fileno())
