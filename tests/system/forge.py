"""Certificates that must not pass, made with the issuing keys themselves where that is needed.

A test has what an attacker has who stole a CA key: the token and its PIN. pkcs11-tool signs, python3-cryptography
writes what is signed.
"""
import datetime
import hashlib
import pathlib
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import world

ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551  # of P-256, SEC 2 2.4.2
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")  # AlgorithmIdentifier, RFC 5758 3.2
MODULE = "/usr/lib/softhsm/libsofthsm2.so"
DAY = datetime.timedelta(days=1)


def der(tag, content):
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x80 | (size.bit_length() + 7) // 8]) + \
        size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + length + content


def assemble(to_be_signed, signature):
    return der(0x30, to_be_signed + ECDSA_SHA256 + der(0x03, b"\0" + signature))


def twin(certificate):
    """The same certificate with (r, n - s): as valid, and of another fingerprint."""
    r, s = utils.decode_dss_signature(certificate.signature)
    return x509.load_der_x509_certificate(assemble(certificate.tbs_certificate_bytes,
                                                   utils.encode_dss_signature(r, ORDER - s)))


def sign_in_token(folder, key, message):
    """ECDSA by an issuing key in the HSM token of that place."""
    with tempfile.TemporaryDirectory() as work:
        digest, signature = pathlib.Path(work, "digest"), pathlib.Path(work, "signature")
        digest.write_bytes(hashlib.sha256(message).digest())
        world.run("env", f"SOFTHSM2_CONF={folder}/hsm/issuing/softhsm2.conf", "pkcs11-tool", "--module", MODULE, "--token-label", "touchmark", "--login",
                  "--pin", (folder / "secrets/issuing.pin").read_text().strip(), "--sign", "--mechanism", "ECDSA",
                  "--signature-format", "rs", "--id", key.encode().hex(), "--input-file", digest, "--output-file", signature)
        octets = signature.read_bytes()
        half = len(octets) // 2
        return utils.encode_dss_signature(int.from_bytes(octets[:half], "big"), int.from_bytes(octets[half:], "big"))


def names(kind, name):
    """Subject and SAN as the profiles of that kind have them."""
    oid = NameOID.SERIAL_NUMBER if kind == "device" else NameOID.COMMON_NAME
    return (x509.Name([x509.NameAttribute(oid, name)]),
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:touchmark:{kind}:{name}")]))


def builder(issuer, issuer_key_id, name, key, *, kind="device", begin=None, end=None,
            usage=ExtendedKeyUsageOID.CLIENT_AUTH, serial=None):
    now = datetime.datetime.utcnow()
    subject, alternative = names(kind, name)
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(begin or now - DAY).not_valid_after(end or now + 30 * DAY)
            .add_extension(x509.AuthorityKeyIdentifier(issuer_key_id, None, None), False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), True)
            .add_extension(x509.ExtendedKeyUsage([usage]), False)
            .add_extension(alternative, False))


def key_id(issuer):
    return issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def stolen(place, name, *, ca="devices", **options):
    """Signed by our own CA, behind the registry's back."""
    key, anything = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.load_pem_x509_certificate((place.folder / f"ca/{ca}.pem").read_bytes())
    draft = builder(issuer.subject, key_id(issuer), name, key, **options).sign(anything, hashes.SHA256())
    signature = sign_in_token(place.folder, ca, draft.tbs_certificate_bytes)
    made = x509.load_der_x509_certificate(assemble(draft.tbs_certificate_bytes, signature))
    issuer.public_key().verify(made.signature, made.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    return place.keep(f"stolen-{name}", made, key)


def self_signed(place, name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject, _ = names("device", name)
    own_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest
    made = builder(subject, own_id, name, key).sign(key, hashes.SHA256())
    return place.keep(f"self-{name}", made, key)


def other_ca(place, name):
    """By a CA that calls itself as ours does, with another key."""
    key, ca_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.load_pem_x509_certificate((place.folder / "ca/devices.pem").read_bytes())
    made = builder(issuer.subject, key_id(issuer), name, key).sign(ca_key, hashes.SHA256())
    return place.keep(f"other-{name}", made, key)


def altered(place, credential):
    """A registered certificate's twin, with the device's own key."""
    real = x509.load_pem_x509_certificate(credential.certificate.read_bytes())
    key = serialization.load_pem_private_key(credential.key.read_bytes(), None)
    made = twin(real)
    assert made.fingerprint(hashes.SHA256()) != real.fingerprint(hashes.SHA256())
    return place.keep(f"altered-{credential.id}", made, key)


PAGE = 4096  # LMDB's on this machine: sysconf(_SC_PAGESIZE)


def redate(place, credential, *, begin=None, end=None):
    """
    Give a registered certificate other dates in the registry's file, with everything stopped: time
    passes faster than by waiting, and what judges the dates stays the real thing. The form of a
    certificate is docs/protocol/door.md's.
    """
    path = place.folder / "authority/registry/data.mdb"
    room = bytearray(path.read_bytes())
    wanted = bytes.fromhex(credential.fingerprint) + b"\x01"
    found = room.find(wanted)
    count = 0
    while found >= 0:
        at = found + 35
        at += 1 + room[at]
        serial = bytes(room[at + 1:at + 1 + room[at]])
        at += 1 + room[at] + 64
        # Elsewhere than in a leaf's nodes it is what is left of an old form, with others' bytes behind it.
        page = found - found % PAGE
        is_leaf = room[page + 10] & 2
        upper = int.from_bytes(room[page + 14:page + 16], "little")
        if serial.hex() == credential.serial and is_leaf and found % PAGE >= upper and (at + 15) // PAGE == found // PAGE:
            for shift, seconds in ((0, begin), (8, end)):
                if seconds is not None:
                    room[at + shift:at + shift + 8] = int(seconds).to_bytes(8, "big")
            count += 1
        found = room.find(wanted, found + 1)
    assert count > 0, f"{credential.fingerprint} is not in {path}"
    path.write_bytes(room)
