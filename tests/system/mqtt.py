"""An MQTT client of a few lines that shows what goes over the wire: every code, every packet, any number of them.

Third-party clients hide return codes and reconnect by themselves; where that is in the way, this stands.
"""
import dataclasses
import socket
import ssl
import struct

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 10, 11, 12, 13, 14
SESSION_EXPIRY, WILL_DELAY, RECEIVE_MAXIMUM, SUBSCRIPTION_ID, PACKET_MAX = 0x11, 0x18, 0x21, 0x0B, 0x27
ACCEPTED, NOT_AUTHORIZED, TAKEN_OVER = 0x00, 0x87, 0x8E


def number(value):
    """Variable byte integer, MQTT 5.0 1.5.5."""
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (128 if value else 0))
        if not value:
            return bytes(out)


def read_number(octets, at):
    value, shift = 0, 0
    while True:
        value |= (octets[at] & 127) << shift
        shift += 7
        at += 1
        if not octets[at - 1] & 128:
            return value, at


def text(value):
    octets = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(octets)) + octets


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + number(len(body)) + body


@dataclasses.dataclass
class Will:
    topic: str
    payload: bytes = b"gone"
    qos: int = 0
    retain: bool = False
    delay: int = 0


def connect_packet(client_id, *, version=5, clean=True, keep_alive=60, session_expiry=0, receive_maximum=0,
                   will=None, packet_max=0):
    flags = 2 if clean else 0
    properties = b""
    if session_expiry:
        properties += bytes([SESSION_EXPIRY]) + struct.pack(">I", session_expiry)
    if receive_maximum:
        properties += bytes([RECEIVE_MAXIMUM]) + struct.pack(">H", receive_maximum)
    if packet_max:
        properties += bytes([PACKET_MAX]) + struct.pack(">I", packet_max)
    body = text(client_id)
    if will:
        flags |= 4 | will.qos << 3 | (32 if will.retain else 0)
        if version == 5:
            own = bytes([WILL_DELAY]) + struct.pack(">I", will.delay) if will.delay else b""
            body += number(len(own)) + own
        body += text(will.topic) + text(will.payload)
    head = text("MQTT") + bytes([version, flags]) + struct.pack(">H", keep_alive)
    if version == 5:
        head += number(len(properties)) + properties
    return packet(CONNECT, 0, head + body)


def publish_packet(topic, payload=b"", *, qos=0, retain=False, identifier=1, version=5):
    body = text(topic) + (struct.pack(">H", identifier) if qos else b"") + (b"\0" if version == 5 else b"")
    return packet(PUBLISH, qos << 1 | retain, body + payload)


def subscribe_packet(filters, *, identifier=1, version=5):
    body = struct.pack(">H", identifier) + (b"\0" if version == 5 else b"")
    return packet(SUBSCRIBE, 2, body + b"".join(text(name) + bytes([options]) for name, options in filters))


@dataclasses.dataclass
class Packet:
    kind: int
    flags: int
    body: bytes
    version: int

    @property
    def qos(self):
        return self.flags >> 1 & 3

    @property
    def retain(self):
        return bool(self.flags & 1)

    def topic_payload(self):
        length = struct.unpack_from(">H", self.body)[0]
        at = 2 + length + (2 if self.qos else 0)
        if self.version == 5:
            size, at = read_number(self.body, at)
            at += size
        return self.body[2:2 + length].decode(), self.body[at:]

    @property
    def identifier(self):
        at = 2 + struct.unpack_from(">H", self.body)[0] if self.kind == PUBLISH else 0
        return struct.unpack_from(">H", self.body, at)[0]

    @property
    def code(self):
        """The reason code of CONNACK, PUBACK and DISCONNECT; 0 where it is left out."""
        at = {CONNACK: 1, PUBACK: 2, DISCONNECT: 0}[self.kind]
        return self.body[at] if len(self.body) > at else 0

    @property
    def codes(self):
        """Of SUBACK and UNSUBACK."""
        at = 2
        if self.version == 5:
            size, at = read_number(self.body, at)
            at += size
        return list(self.body[at:])


def take_packet(octets, version):
    """(packet, rest) or (None, octets)."""
    if len(octets) < 2:
        return None, octets
    at = 1
    while octets[at] & 128:
        at += 1
        if at == len(octets):
            return None, octets
    size, at = read_number(octets, 1)
    if len(octets) < at + size:
        return None, octets
    return Packet(octets[0] >> 4, octets[0] & 15, bytes(octets[at:at + size]), version), octets[at + size:]


class Closed(Exception):
    """The door ended the connection."""


class Client:
    """One connection. open() does TLS only; connect() tells the CONNACK's code."""

    def __init__(self, port, context, client_id, *, version=5, timeout=20, session=None, source=""):
        self.port, self.context, self.client_id, self.version = port, context, client_id, version
        self.timeout, self.session, self.source = timeout, session, source
        self.socket, self.rest, self.waiting, self.connack = None, b"", [], None
        self.next_identifier = 0

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def open(self):
        plain = socket.create_connection(("127.0.0.1", self.port), self.timeout, (self.source, 0))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket = self.context.wrap_socket(plain, server_hostname="127.0.0.1", session=self.session)
        except BaseException:
            plain.close()
            raise
        return self

    def connect(self, **options):
        """The code; raises Closed or ssl.SSLError if there was none."""
        if self.socket is None:
            self.open()
        self.send(connect_packet(self.client_id, version=self.version, **options))
        self.connack = self.receive(CONNACK)
        return self.connack.code

    def send(self, octets):
        try:
            self.socket.sendall(octets)
        except (BrokenPipeError, ConnectionResetError) as gone:
            raise Closed(str(gone)) from None

    def receive_any(self, timeout=None):
        self.socket.settimeout(self.timeout if timeout is None else timeout)
        while True:
            found, self.rest = take_packet(self.rest, self.version)
            if found:
                return found
            try:
                more = self.socket.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError) as gone:
                raise Closed(str(gone)) from None
            if not more:
                raise Closed("end of stream")
            self.rest += more

    def receive(self, kind, timeout=None):
        """The next packet of that kind; others wait in .waiting."""
        for place, early in enumerate(self.waiting):
            if early.kind == kind:
                return self.waiting.pop(place)
        while True:
            found = self.receive_any(timeout)
            if found.kind == kind:
                return found
            self.waiting.append(found)

    def take_identifier(self):
        self.next_identifier = self.next_identifier % 65535 + 1
        return self.next_identifier

    def publish(self, topic, payload=b"", *, qos=0, retain=False):
        """The PUBACK's code for QoS 1, None for 0."""
        identifier = self.take_identifier()
        self.send(publish_packet(topic, payload, qos=qos, retain=retain, identifier=identifier, version=self.version))
        return self.receive(PUBACK).code if qos else None

    def subscribe(self, *filters, qos=1):
        """The granted QoS or reason of each."""
        self.send(subscribe_packet([(name, qos) for name in filters], identifier=self.take_identifier(),
                                   version=self.version))
        return self.receive(SUBACK).codes

    def unsubscribe(self, name):
        body = struct.pack(">H", self.take_identifier()) + (b"\0" if self.version == 5 else b"") + text(name)
        self.send(packet(UNSUBSCRIBE, 2, body))
        return self.receive(UNSUBACK)

    def message(self, timeout=None):
        """The next message's (topic, payload, packet); it is acknowledged."""
        found = self.receive(PUBLISH, timeout)
        if found.qos:
            self.send(packet(PUBACK, 0, struct.pack(">H", found.identifier)))
        return (*found.topic_payload(), found)

    def messages_until_ping(self):
        """All that came before the answer to a PINGREQ: shows that something did not come, without waiting."""
        self.ping()
        found = [each for each in self.waiting if each.kind == PUBLISH]
        self.waiting = [each for each in self.waiting if each.kind != PUBLISH]
        for each in found:
            if each.qos:
                self.send(packet(PUBACK, 0, struct.pack(">H", each.identifier)))
        return [each.topic_payload() for each in found]

    def ping(self):
        self.send(packet(PINGREQ, 0, b""))
        self.receive(PINGRESP)

    def wait_end(self, timeout=None):
        """Wait for the door to end this; the DISCONNECT's code, None if it said nothing."""
        code = None
        try:
            while True:
                found = self.receive_any(timeout)
                if found.kind == DISCONNECT:
                    code = found.code
        except (Closed, ssl.SSLError) as end:
            if isinstance(end, TimeoutError):
                raise
        return code

    def disconnect(self, code=0):
        self.send(packet(DISCONNECT, 0, bytes([code]) if code and self.version == 5 else b""))
        self.close()

    def abort(self):
        """End without a word: no DISCONNECT, no close_notify."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None
