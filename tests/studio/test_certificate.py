"""A certificate that cannot be used is refused before an address is printed, and the file that is wrong is named."""

from __future__ import annotations

import pytest

from isotherm.errors import InputError
from isotherm.studio.certificate import check_certificate

CERT = """-----BEGIN CERTIFICATE-----
MIIBhDCCASmgAwIBAgIUUGF40fczbUuo7frKoYq5xBi6U+QwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLc3R1ZGlvLnRlc3QwIBcNMjYxMTI5MjE0OTI3WhgPMjEyNjEx
MDUyMTQ5MjdaMBYxFDASBgNVBAMMC3N0dWRpby50ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAE/kDcBmRUr8upBHVx9XvhrVs3WCuBFpHGRNMiZXLjevJVq6TJ
fjouMOWI9XstKc8CUOz3RImoJFtx9nBCuVvNuqNTMFEwHQYDVR0OBBYEFAkiSsiE
uvgcXfSjTykcSv0alN9qMB8GA1UdIwQYMBaAFAkiSsiEuvgcXfSjTykcSv0alN9q
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAMnq7bGNRLVgOEjW
H801T6AdE/7H+++HKz7VldPO+BCZAiEAnDyOEV19a48FarEMjyuzz4jHH7cgbkBn
Ndsj2jDO8UQ=
-----END CERTIFICATE-----
"""
KEY = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgeh/Njnds38e4TFpC
PWSmVmu9/x7Ez35Adbe01g1O54OhRANCAAT+QNwGZFSvy6kEdXH1e+GtWzdYK4EW
kcZE0yJlcuN68lWrpMl+Oi4w5Yj1ey0pzwJQ7PdEiagkW3H2cEK5W826
-----END PRIVATE KEY-----
"""
OTHER_KEY = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgtKtKu+Z/Mwe5c8Gu
rGsFtcBmSwnr2hxpsE0mPLFTHCyhRANCAATJYKGzI03DQltaHVMMeaEZ8DFIJTCn
EezVoDf+Kz4RhIfGhSVRxciRzMnx4zFOpqKpMHkzEJqm6Gxmk7xq7jak
-----END PRIVATE KEY-----
"""
"""Made for these tests, and of no use for anything else."""


def test_a_pair_is_taken(tmp_path):
    cert, key = written(tmp_path, CERT, KEY)
    check_certificate(cert, key)


@pytest.mark.parametrize(
    ("cert", "key", "message"),
    [
        ("junk", KEY, r"--tls-cert .*cert\.pem holds no certificate; expected a PEM file, -----BEGIN CERTIFICATE-----"),
        (CERT, "junk", r"--tls-key .*key\.pem holds no private key .* without a password"),
        (CERT, CERT, r"--tls-key .*key\.pem holds no private key"),
        (CERT, OTHER_KEY, r"--tls-key .*key\.pem is not the key of --tls-cert .*cert\.pem"),
    ],
)
def test_what_is_none_is_named(tmp_path, cert, key, message):
    with pytest.raises(InputError, match=message):
        check_certificate(*written(tmp_path, cert, key))


def test_a_missing_file_is_named(tmp_path):
    cert, key = written(tmp_path, CERT, KEY)
    with pytest.raises(InputError, match=r"--tls-cert .*No such file"):
        check_certificate(tmp_path / "none.pem", key)
    with pytest.raises(InputError, match=r"--tls-key .*none\.pem cannot be read .No such file"):
        check_certificate(cert, tmp_path / "none.pem")


def written(dpath, cert, key):
    (dpath / "cert.pem").write_text(cert)
    (dpath / "key.pem").write_text(key)
    return dpath / "cert.pem", dpath / "key.pem"
