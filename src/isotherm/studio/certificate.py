"""Whether a certificate and its key can be used, before anybody is told an address that needs them."""

from __future__ import annotations

import ssl
from pathlib import Path

from isotherm.errors import InputError


def check_certificate(cert: Path, key: Path) -> None:
    """Refuse a certificate, or a key, that https cannot be spoken with.

    Args:
        cert: a PEM file with the certificate and those that it rests on.
        key: a PEM file with its private key, without a password.

    Raises:
        InputError: which of the two files it is, and what is expected of it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cert)
    except OSError as error:  # that of ssl is one
        raise InputError(
            f"--tls-cert {cert} holds no certificate{_why(error)}; expected a PEM file, -----BEGIN CERTIFICATE-----"
        ) from error
    try:
        context.load_cert_chain(cert, key, password=lambda: "")  # a password would be waited for, at the terminal
    except ssl.SSLError as error:
        if "KEY_VALUES_MISMATCH" in str(error):
            raise InputError(
                f"--tls-key {key} is not the key of --tls-cert {cert}; give the two of one pair"
            ) from error
        raise InputError(
            f"--tls-key {key} holds no private key that can be read; expected a PEM file, -----BEGIN PRIVATE KEY-----, "
            "without a password"
        ) from error
    except OSError as error:
        raise InputError(f"--tls-key {key} cannot be read{_why(error)}") from error


def _why(error: OSError) -> str:
    return "" if isinstance(error, ssl.SSLError) or not error.strerror else f" ({error.strerror})"
