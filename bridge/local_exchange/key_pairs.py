"""Signatures of key pairs: Ed25519, and RSA with PKCS1v1.5 and SHA-256, both in base64.

Apart from `security`, so that an exchange whose keys are all HMAC never loads the library.
"""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

Private = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def verified(private_pem: str, payload: str, signature: str) -> bool:
    """Whether a payload was signed by the key whose private half is given."""
    try:
        raw = base64.b64decode(signature, validate=True)
        public = _private(private_pem).public_key()
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(raw, payload.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            public.verify(raw, payload.encode())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def sign_with(private_pem: str, payload: str) -> str:
    """Return the signature of a payload in base64."""
    private = _private(private_pem)
    if isinstance(private, rsa.RSAPrivateKey):
        raw = private.sign(payload.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        raw = private.sign(payload.encode())
    return base64.b64encode(raw).decode()


@lru_cache(maxsize=64)
def _private(private_pem: str) -> Private:
    key = serialization.load_pem_private_key(private_pem.encode(), password=None)
    assert isinstance(key, Private)
    return key
