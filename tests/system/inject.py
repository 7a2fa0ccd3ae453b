"""Makes a running process do one system call, from its own inside, and tells what came back.

A jail is only shown to hold by someone who sits in it. The tests run as root, attach with
ptrace(2) and let the jailed process itself execute the call: same uid, same filter, same
Landlock domain, same descriptors. Works on a stripped release build: the instruction used
is the one that the process is blocked in.
"""
import ctypes
import ctypes.util
import errno
import os
import signal
import struct
import time

SEIZE, INTERRUPT, SINGLESTEP, GETREGS, SETREGS, DETACH = 0x4206, 0x4207, 9, 12, 13, 17
WORD = 2**64 - 1
# struct user_regs_struct of <sys/user.h>, x86_64
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
         "fs_base gs_base ds es fs gs").split()
ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
# asm/unistd_64.h
CALLS = {"read": 0, "open": 2, "socket": 41, "connect": 42, "fork": 57, "execve": 59, "kill": 62,
         "ptrace": 101, "setuid": 105, "prctl": 157, "openat": 257, "unshare": 272,
         "process_vm_readv": 310, "bpf": 321, "io_uring_setup": 425, "pidfd_getfd": 438,
         "mmap": 9, "unlink": 87, "rename": 82, "clone": 56, "keyctl": 250, "setrlimit": 160,
         "sendmsg": 46, "landlock_restrict_self": 446, "bind": 49, "listen": 50, "mprotect": 10, "tgkill": 234,
         "pidfd_open": 434, "setns": 308, "mount": 165, "perf_event_open": 298, "userfaultfd": 323, "exit_group": 231}

libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long] * 4


class Killed(Exception):
    """The call ended the process; .signal says how."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.signal = number


def ptrace(request, pid, addr=0, data=0):
    result = libc.ptrace(request, pid, addr, data)
    if result == -1:
        raise OSError(ctypes.get_errno(), "ptrace")
    return result


def read_registers(pid):
    room = ctypes.create_string_buffer(8 * len(NAMES))
    ptrace(GETREGS, pid, 0, ctypes.addressof(room))
    return dict(zip(NAMES, struct.unpack(f"{len(NAMES)}Q", room.raw)))


def write_registers(pid, registers):
    room = ctypes.create_string_buffer(
        struct.pack(f"{len(NAMES)}Q", *(registers[name] & WORD for name in NAMES)))
    ptrace(SETREGS, pid, 0, ctypes.addressof(room))


def wait_stop(pid):
    """Wait for the next stop of a process that is not our child."""
    _, status = os.waitpid(pid, 0x40000000)  # __WALL
    if os.WIFSIGNALED(status):
        raise Killed(os.WTERMSIG(status))
    return os.WSTOPSIG(status)


def place_texts(pid, registers, arguments):
    """Texts and buffers go below the red zone of the process's stack; numbers stay."""
    place, placed = registers["rsp"] - 65536, []
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        for argument in arguments:
            if isinstance(argument, bytes):
                memory.seek(place)
                memory.write(argument + b"\0")
                placed.append(place)
                place += len(argument) + 16 & ~7
            else:
                placed.append(argument)
    return placed


def stop_at_rest(pid):
    """Stopped where it waits in a system call; one that is busy is given a moment. Its registers."""
    for _ in range(500):
        ptrace(SEIZE, pid)
        ptrace(INTERRUPT, pid)
        wait_stop(pid)
        registers = read_registers(pid)
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(registers["rip"] - 2)
            if memory.read(2) == b"\x0f\x05":
                return registers
        ptrace(DETACH, pid)
        time.sleep(0.01)
    raise RuntimeError(f"process {pid} does not rest in a system call")


def syscall(pid, name, *arguments):
    """The call's result, negative errno included. Raises Killed if the process did not survive it."""
    before = stop_at_rest(pid)
    try:
        call = dict(before, rip=before["rip"] - 2, rax=CALLS[name], orig_rax=WORD)
        call.update(zip(ARGUMENTS, place_texts(pid, before, arguments)))
        write_registers(pid, call)
        ptrace(SINGLESTEP, pid)
        while wait_stop(pid) != signal.SIGTRAP:
            ptrace(SINGLESTEP, pid)
        result = ctypes.c_long(read_registers(pid)["rax"]).value
        write_registers(pid, before)
    finally:
        try:
            ptrace(DETACH, pid)
        except OSError as gone:
            if gone.errno != errno.ESRCH:
                raise
    return result
