"""
A token endpoint on the loopback interface with TLS, and a way through it to a served sandbox, for the tests of signing
in: what Microsoft Entra ID, IMDS's relatives and a reverse proxy do of it. Knows nothing of the library.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["CLIENT", "SECRET", "TENANT", "UPN", "Entra", "entra", "token"]

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "99999999-8888-7777-6666-555555555555"
SECRET = "a-secret-that-nobody-may-see"
UPN = "operator@contoso.example"


def _encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def token(audience: str, tenant: str = TENANT, **claims: Any) -> str:
    """
    Make an unsigned token for *audience*.
    """
    now = int(time.time())
    body = {"aud": audience, "tid": tenant, "iss": "entra", "iat": now, "exp": now + 3600} | claims
    return f"{_encoded({'alg': 'none'})}.{_encoded(body)}.signature"


def certificate(folder: Path) -> tuple[Path, Path]:
    """
    Make a certificate of localhost that signs itself; returns it and its key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "localhost.pem", folder / "localhost.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


class Entra:
    """
    The running endpoint.

    Attributes:
        bundle: certificate to trust, for REQUESTS_CA_BUNDLE.
        asked: the forms and queries that tokens were asked for with.
        refusal: code and description that every request for a token is refused with; empty for none.
        tenant: that tokens are of.
        issued: tokens that Resource Manager takes here.
        seen: method and path of each request to Resource Manager.
        pending: how often a device code is not yet confirmed.
        scope: what the last device code was asked for.
        answers: status, headers and body by path, in the place of what Resource Manager would answer.
        arm: host and port of what answers as Resource Manager, without TLS; None where nothing does.
    """

    def __init__(self, folder: Path) -> None:
        self.bundle, private = certificate(folder)
        self.asked: list[dict[str, str]] = []
        self.refusal: tuple[str, str] | None = None
        self.issued: set[str] = set()
        self.seen: list[tuple[str, str]] = []
        self.pending = 0
        self.tenant = TENANT
        self.answers: dict[str, tuple[int, dict[str, str], Any]] = {}
        self.arm: tuple[str, int] | None = None
        self._nonces: dict[str, str] = {}
        self.scope = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.bundle, private)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"localhost:{self._server.server_address[1]}"
        self.url = f"https://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def start(self) -> None:
        """
        Begin to serve.
        """
        self._thread.start()

    def stop(self) -> None:
        """
        End it.
        """
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def grant(self, asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """
        Answer a request for a token.
        """
        self.asked.append(asked)
        if self.refusal is not None:
            code, said = self.refusal
            return 400, {"error": code, "error_description": said, "error_codes": []}
        if asked.get("grant_type", "").endswith("device_code") and self.pending:
            self.pending -= 1
            return 400, {"error": "authorization_pending", "error_description": "AADSTS70016: not yet"}
        audience = asked.get("resource") or asked.get("scope", self.scope).split()[0].removesuffix("/.default")
        by_person = asked.get("grant_type", "").endswith(("authorization_code", "refresh_token", "device_code"))
        claims: dict[str, Any] = {"upn": UPN} if by_person else {"appid": CLIENT}
        given = token(audience, self.tenant, **claims)
        self.issued.add(given)
        answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": 3600, "access_token": given}
        if by_person:
            own = {"oid": "o", "sub": "s", "preferred_username": UPN, "nonce": self._nonces.get(asked.get("code", ""))}
            answer["id_token"] = token(asked["client_id"], **own)
            answer["client_info"] = _encoded({"uid": "o", "utid": TENANT})
            answer["refresh_token"] = "refresh"
        return 200, answer

    def authorize(self, query: dict[str, str]) -> str:
        """
        Sign a person in, and return where the browser goes on.
        """
        self._nonces["one-time"] = query.get("nonce", "")
        return f"{query['redirect_uri']}?code=one-time&state={query['state']}"


@contextmanager
def entra(folder: Path) -> Iterator[Entra]:
    """
    Serve for the time of the block.
    """
    server = Entra(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _handler(entra: Entra) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """
            Keep the terminal clean.
            """

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response_only(status)
            for name, value in (headers or {"Content-Type": "application/json"}).items():
                self.send_header(name, value)
            if not headers or "content-length" not in {name.lower() for name in headers}:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _json(self, status: int, body: Any) -> None:
            self._answer(status, json.dumps(body).encode())

        def _any(self) -> None:
            parts = urlsplit(self.path)
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = dict(parse_qsl(parts.query))
            if parts.path.endswith("/.well-known/openid-configuration"):
                tenant = parts.path.split("/")[1]
                place = f"{entra.url}/{tenant}/oauth2/v2.0"
                self._json(
                    200,
                    {
                        "issuer": f"{entra.url}/{tenant}/v2.0",
                        "authorization_endpoint": f"{place}/authorize",
                        "token_endpoint": f"{place}/token",
                        "device_authorization_endpoint": f"{place}/devicecode",
                    },
                )
            elif parts.path.endswith("/oauth2/v2.0/devicecode"):
                entra.scope = parse_qs(sent.decode())["scope"][0]
                told = {"user_code": "ABCD-EFGH", "device_code": "d", "verification_uri": f"{entra.url}/device"}
                self._json(200, told | {"expires_in": 60, "interval": 1, "message": "go there"})
            elif parts.path.endswith("/oauth2/v2.0/authorize"):
                self._answer(302, b"", {"Location": entra.authorize(query), "Content-Length": "0"})
            elif parts.path.endswith("/oauth2/v2.0/token"):
                form = {name: values[0] for name, values in parse_qs(sent.decode()).items()}
                self._json(*entra.grant(form | {"path": parts.path}))
            elif parts.path == "/msi/token":
                # As App Service gives tokens to what runs on it.
                status, body = entra.grant(query | {"header": self.headers.get("X-IDENTITY-HEADER", "")})
                if status == 200:
                    body |= {"expires_on": str(int(time.time()) + 3600), "resource": query["resource"]}
                self._json(status, body)
            else:
                self._forward(sent)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _any

        def _forward(self, sent: bytes) -> None:
            entra.seen.append((self.command, self.path))
            if (path := urlsplit(self.path).path) in entra.answers:
                status, headers, answer = entra.answers[path]
                sent = json.dumps(answer).encode()
                self._answer(status, sent, headers | {"Content-Length": str(len(sent))})
                return
            kind, _, given = self.headers.get("Authorization", "").partition(" ")
            if entra.arm is None or kind != "Bearer" or given not in entra.issued:
                code = {"code": "ExpiredAuthenticationToken", "message": "The access token has expired."}
                self._json(401, {"error": code})
                return
            host = f"{entra.arm[0]}:{entra.arm[1]}"
            connection = http.client.HTTPConnection(*entra.arm, timeout=60)
            try:
                headers = {n: v for n, v in self.headers.items() if n.lower() not in ("host", "connection")}
                connection.request(self.command, self.path, sent or None, headers | {"Host": host})
                answer = connection.getresponse()
                body = answer.read().replace(f"http://{host}".encode(), entra.url.encode())
                told = {n: v.replace(f"http://{host}", entra.url) for n, v in answer.getheaders()}
                dropped = ("content-length", "connection", "transfer-encoding")
                told = {n: v for n, v in told.items() if n.lower() not in dropped}
                self._answer(answer.status, body, told)
            finally:
                connection.close()

    return Handler
