"""What a device may ask to be certified: a PKCS#10 request signed by the key it names, and that key ECDSA P-256."""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge_fleet.errors import Rejected

MAX_BYTES: Final = 8 * 1024
_HINT: Final = "Make a P-256 key and a PKCS#10 request with it; `edge-agent enrol` does."


def read_public_key(csr: str) -> ec.EllipticCurvePublicKey:
    """The key that the request proves to hold. Names in the request are not looked at: the server decides the subject.

    Raises:
        Rejected: csr-invalid.
    """
    # 1. small
    if len(csr) > MAX_BYTES:
        raise Rejected("csr-invalid", f"The certificate request has {len(csr)} bytes, at most {MAX_BYTES}", _HINT)
    # 2. a request
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        key = request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Rejected("csr-invalid", "This is not a certificate request in PEM", _HINT) from error
    # 3. with the one kind of key that is taken
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Rejected("csr-invalid", "The key of the certificate request is not ECDSA P-256", _HINT)
    # 4. signed by that key
    if not request.is_signature_valid:
        raise Rejected("csr-invalid", "The certificate request is not signed by its own key", _HINT)
    return key


def key_digest(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of the key (SubjectPublicKeyInfo), hexadecimal: by it a repeated request is recognised."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
