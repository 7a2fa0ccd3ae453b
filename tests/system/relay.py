"""A port in front of another that breaks connections as told: before, within and behind TLS."""
import contextlib
import socket
import struct
import threading

import place


class Relay:
    """mode: pass; refuse (nobody listens); hang-up, reset (taken, and ended or broken at once); tear (ended after so many octets of answer)."""

    def __init__(self, port):
        self.to, self.mode, self.after = port, "pass", 0
        self.lock, self.open, self.torn = threading.Lock(), set(), 0
        self.listener, self.port = None, place.free_port()
        self.listen()

    def listen(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.serve, args=(self.listener,), daemon=True).start()

    def serve(self, listener):
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                if self.mode in ("hang-up", "reset"):
                    self.torn += 1
                    if self.mode == "reset":
                        near.recv(1)
                        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self.to))
                with self.lock:
                    self.open |= {near, far}
                for pair in ((near, far, False), (far, near, True)):
                    threading.Thread(target=self.carry, args=pair, daemon=True).start()

    def carry(self, source, sink, answers):
        carried, mode = 0, ""
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                if mode != self.mode:
                    carried, mode = 0, self.mode
                if answers and mode == "tear" and carried + len(octets) > self.after:
                    sink.sendall(octets[:self.after - carried] if carried < self.after else b"")
                    self.torn += 1
                    break
                carried += len(octets)
                sink.sendall(octets)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def become(self, mode, after=0):
        """And end what is open; but what shall be torn is torn from here on."""
        self.mode, self.after = mode, after
        if mode == "refuse":
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        with self.lock:
            ends, self.open = (set(), self.open) if mode == "tear" else (self.open, set())
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if mode != "refuse" and self.listener.fileno() < 0:
            self.listen()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.become("refuse")
