# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Opens http, https and file URLs with pip's settings; every failure is one readable line."""

from __future__ import annotations

import base64
import http.client
import netrc
import os
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from ... import __version__
from ...errors import FetchError
from .pip_config import IndexSettings

ATTEMPTS = 3
_PAUSE_SECONDS = 0.5
# Worth another try: the server is busy or being restarted.
_TRANSIENT = (429, 500, 502, 503, 504)
# What a connection that breaks raises, while opening or while reading.
BROKEN = (OSError, http.client.HTTPException)


class TransportError(FetchError):
    """A URL could not be opened or did not give what was expected."""


def without_credentials(url: str) -> str:
    """Return the URL without user and password, fit for a message."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition('@')[2], *parts[2:]))


def open_url(url: str, settings: IndexSettings, accept: str = '*/*') -> Any:
    """Open a URL and return the response, to be used as a context manager.

    Tries again when the server is busy or the connection breaks. Raises TransportError.
    """
    parts = urlsplit(url)
    if parts.scheme not in ('http', 'https', 'file'):
        raise TransportError(f'{without_credentials(url)}: expected an http, https or file URL')
    opener = _opener(settings, parts.hostname or '', parts.netloc.rpartition('@')[2])
    request = _request(url, accept)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return opener.open(request, timeout=settings.timeout)
        except urllib.error.HTTPError as error:
            failure = TransportError(
                f'{without_credentials(url)} answered {error.code} {error.reason}')
            error.close()
            if error.code not in _TRANSIENT:
                raise failure from None
        except BROKEN as error:
            failure = TransportError(
                f'{parts.hostname or unquote(parts.path)} could not be reached: {reason_of(error)}')
            if parts.scheme == 'file' or _is_about_certificates(error):
                raise failure from error
        if attempt < ATTEMPTS:
            time.sleep(_PAUSE_SECONDS * attempt)
    raise failure


def reason_of(error: BaseException) -> str:
    """Return the shortest text that says why a connection failed."""
    if _is_about_certificates(error):
        return (
            f'its certificate is not trusted ({getattr(error, "reason", error)}); install '
            'ca-certificates, or set PIP_CERT to your certificate bundle')
    inner = getattr(error, 'reason', None) or error
    return getattr(inner, 'strerror', None) or str(inner) or type(inner).__name__


def _is_about_certificates(error: BaseException) -> bool:
    return isinstance(getattr(error, 'reason', error), ssl.SSLCertVerificationError)


def _request(url: str, accept: str) -> urllib.request.Request:
    parts = urlsplit(url)
    headers = {'Accept': accept, 'User-Agent': f'trt_perception/{__version__}'}
    if parts.scheme == 'file':
        path = Path(unquote(parts.path))
        if path.is_dir():
            path = path / 'index.html'
        return urllib.request.Request(path.as_uri(), headers=headers)
    user, password = unquote(parts.username or ''), unquote(parts.password or '')
    if not user:
        user, password = _from_netrc(parts.hostname or '')
    request = urllib.request.Request(without_credentials(url), headers=headers)
    if user:
        token = base64.b64encode(f'{user}:{password}'.encode()).decode()
        # Unredirected: another host that the index sends us to must not see it.
        request.add_unredirected_header('Authorization', f'Basic {token}')
    return request


def _from_netrc(host: str) -> tuple[str, str]:
    try:
        found = netrc.netrc(os.environ.get('NETRC')).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return '', ''
    return (found[0], found[2] or '') if found else ('', '')


def _opener(settings: IndexSettings, host: str, netloc: str) -> urllib.request.OpenerDirector:
    context = ssl.create_default_context()
    if settings.certificates:
        try:
            context.load_verify_locations(
                **{'capath' if Path(settings.certificates).is_dir() else 'cafile': settings.certificates})
        except (OSError, ssl.SSLError) as error:
            raise TransportError(
                f"the certificate bundle {settings.certificates} (pip's setting cert) cannot be read: "
                f'{getattr(error, "strerror", None) or error}') from error
    if {host, netloc} & settings.trusted_hosts:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=context)]
    if settings.proxy:
        handlers.append(urllib.request.ProxyHandler({'http': settings.proxy, 'https': settings.proxy}))
    return urllib.request.build_opener(*handlers)
