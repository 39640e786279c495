"""Sign copies of generated images by C2PA, which says who vouches that a model made them."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image

from magid_agents.errors import ConfigError, first_line
from magid_agents.registry import SHIPPED_BY
from magid_agents.store.rundir import RunDirError
from magid_agents.store.xmp import TRAINED_ALGORITHMIC_MEDIA, XMP_KEYWORD

CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True)
class Credentials:
    """The PEM files of a certificate, with those that vouch for it after it, and of its private key."""

    certificates: Path
    key: Path


class ImageSigner:
    """Signs PNG files, without a time stamp: nothing is asked of a server."""

    def __init__(self, credentials: Credentials) -> None:
        """Load the credentials. Raises ConfigError if they cannot be used or c2pa-python is not installed."""
        try:
            import c2pa
        except ImportError as error:
            raise ConfigError("--c2pa: needs c2pa-python; pip install 'magid-agents[c2pa]'") from error
        certificates, key = (_read(path) for path in (credentials.certificates, credentials.key))
        settings = c2pa.Settings.from_dict({"builder": {"thumbnail": {"enabled": False}}})
        self._library, self._context = c2pa, c2pa.Context(settings)
        try:
            algorithm = _algorithm(key)
            self._signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm, certificates, key, None))
            self._try_out()
        except (ValueError, TypeError, c2pa.C2paError) as error:
            raise ConfigError(
                f"--c2pa {credentials.certificates}: cannot be used with {credentials.key} "
                f"({first_line(error)}); give PEM files of a certificate for signing and of its key"
            ) from error

    def sign(self, source: Path, target: Path) -> None:
        """Write a signed copy. Raises RunDirError if the file cannot be signed."""
        with Image.open(source) as image:
            model = str(image.info.get("model", ""))
        try:
            builder = self._library.Builder(json.dumps(_manifest(source.name, model)), self._context)
            builder.sign_file(source, target, self._signer)
        except self._library.C2paError as error:
            raise RunDirError(
                f"{source}: cannot be signed ({first_line(error)}); check the certificate of --c2pa"
            ) from error

    def _try_out(self) -> None:
        """Sign a pixel: credentials that do not fit each other are found only by a signature."""
        source = io.BytesIO()
        Image.new("RGB", (1, 1)).save(source, "PNG")
        source.seek(0)
        builder = self._library.Builder(json.dumps(_manifest("pixel.png", "")), self._context)
        builder.sign(self._signer, "image/png", source, io.BytesIO())


def is_synthetic(path: Path) -> bool:
    """Return whether a PNG file says that a model generated it."""
    with Image.open(path) as image:
        return TRAINED_ALGORITHMIC_MEDIA in str(image.info.get(XMP_KEYWORD, ""))


def _manifest(name: str, model: str) -> Mapping[str, Any]:
    created = {
        "action": "c2pa.created",
        "digitalSourceType": TRAINED_ALGORITHMIC_MEDIA,
        "softwareAgent": {"name": model or SHIPPED_BY},
    }
    return {
        "claim_generator_info": [{"name": SHIPPED_BY, "version": version(SHIPPED_BY)}],
        "title": name,
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [created]}}],
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--c2pa: {path}: cannot be read ({error.strerror}); check the name") from error


def _algorithm(key: bytes) -> bytes:
    """Return how C2PA calls what signs with this key. Raises ValueError if it has no name for it."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    private = load_pem_private_key(key, password=None)
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in CURVES:
        return CURVES[private.curve.name].encode()
    if isinstance(private, rsa.RSAPrivateKey):
        return b"ps256"
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return b"ed25519"
    raise ValueError("C2PA knows no signature by a key of this kind")
