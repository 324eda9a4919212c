# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Downloads a tarball from the npm registry that the user has configured. No code of the package runs.

It works without npm, which robots usually lack. An npm registry has each tarball at
REGISTRY/PACKAGE/-/NAME-VERSION.tgz, and the sha256 of the catalogue identifies it, so one request with Python's urllib
is enough.

registry, https-proxy and proxy come from `npm config` if npm is installed, otherwise from the npm_config_* variables
and the user's .npmrc; proxies also from HTTPS_PROXY, HTTP_PROXY and NO_PROXY. Certificates are those of the system and
of SSL_CERT_FILE. For a registry with a login, use `npm pack PACKAGE@VERSION` and --from.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ... import __version__
from ...file_cache import replace_file
from ...home import expanded
from ...progress import ProgressCallback, silent
from ...user_files import read_whole
from .package_file import DownloadError, PackageFile

DEFAULT_REGISTRY = 'https://registry.npmjs.org'

_KEYS = ('registry', 'https-proxy', 'proxy')
_ATTEMPTS = 3
PAUSE_SECONDS = 0.5
_ANSWER_SECONDS = 30.0
_CHUNK = 1 << 18
_MOST_SETTINGS = 1_000_000
# The server is busy or is being restarted.
_TRANSIENT = (429, 500, 502, 503, 504)
_CHECK = 'check the network, the proxy and the registry of npm (npm config get registry)'


class _TryAgain(DownloadError):
    """A failure that may be temporary."""


def tarball_url(registry: str, package: str, version: str) -> str:
    """Return the address of a package's tarball; package is NAME or @SCOPE/NAME."""
    return f'{registry.rstrip("/")}/{package}/-/{package.rpartition("/")[2]}-{version}.tgz'


def npm_settings() -> dict[str, str]:
    """Return registry, https-proxy and proxy of npm's configuration; keys that are not set are absent."""
    npm = shutil.which('npm')
    if npm:
        quiet = {'npm_config_update_notifier': 'false', 'npm_config_logs_max': '0'}
        try:
            answer = subprocess.run(
                [npm, 'config', 'get', *_KEYS], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                errors='replace', timeout=_ANSWER_SECONDS, env={**os.environ, **quiet})
        except (OSError, subprocess.TimeoutExpired):
            pass  # npm does not work here.
        else:
            if answer.returncode == 0:
                return _parse(answer.stdout)
    return _settings_without_npm()


def _settings_without_npm() -> dict[str, str]:
    variables = {name.lower(): value for name, value in os.environ.items()}
    path = Path(variables.get('npm_config_userconfig') or expanded('~/.npmrc'))
    try:
        settings = _parse(read_whole(path, _MOST_SETTINGS).decode())
    except (OSError, UnicodeDecodeError):
        settings = {}
    for key in _KEYS:
        value = variables.get('npm_config_' + key.replace('-', '_'))
        if value:
            settings[key] = value
    return settings


def _parse(text: str) -> dict[str, str]:
    """Parse lines of `key = value`, the format of .npmrc and of `npm config get`."""
    settings = {}
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition('='))
        value = os.path.expandvars(value.strip('\'"'))
        if key in _KEYS and value not in ('', 'null', 'undefined', 'false'):
            settings[key] = value
    return settings


def download_tarball(wanted: PackageFile, target: Path, progress: ProgressCallback | None = None) -> None:
    """Download the tarball to `target` and verify it. After a failure, `target` does not exist.

    progress: an exception from it ends the download and is passed on

    Raises DownloadError, or FetchError if `target` cannot be written.
    """
    settings = npm_settings()
    registry = settings.get('registry', DEFAULT_REGISTRY)
    if urlsplit(registry).scheme not in ('http', 'https') or '@' in urlsplit(registry).netloc:
        raise DownloadError(wanted, (
            f'the registry of npm is {registry.rpartition("@")[2]}, expected an http or https address without a user '
            'name (npm config get registry)'))
    proxy = settings.get('proxy')
    proxies = {'http': proxy, 'https': settings.get('https-proxy') or proxy}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(
        {**urllib.request.getproxies(), **{scheme: url for scheme, url in proxies.items() if url}}))
    url = tarball_url(registry, wanted.package, wanted.version)
    replace_file(target, lambda part: _download(opener, url, wanted, part, progress or silent))


def _download(
    opener: urllib.request.OpenerDirector, url: str, wanted: PackageFile, part: Path, progress: ProgressCallback,
) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _attempt(opener, url, wanted, part, progress)
        except _TryAgain:
            if attempt == _ATTEMPTS:
                raise
            time.sleep(PAUSE_SECONDS * attempt)
        else:
            return


def _attempt(
    opener: urllib.request.OpenerDirector, url: str, wanted: PackageFile, part: Path, progress: ProgressCallback,
) -> None:
    digest, done = hashlib.sha256(), 0
    progress(f'asking {urlsplit(url).hostname} for {wanted.package}', 0, None)
    with part.open('wb') as file:
        for chunk in _chunks(opener, url, wanted):
            digest.update(chunk)
            done += len(chunk)
            if done > wanted.size:
                break
            file.write(chunk)
            progress(f'downloading {wanted.name}', done, wanted.size)
    if done < wanted.size:
        raise _TryAgain(wanted, f'the connection broke: {done} of {wanted.size} bytes came from {url}')
    if done > wanted.size or digest.hexdigest() != wanted.sha256:
        found = f'sha256 {digest.hexdigest()}' if done == wanted.size else f'more than {wanted.size} bytes'
        raise DownloadError(wanted, (
            f'{url} has {found}, expected sha256 {wanted.sha256} and {wanted.size} bytes; the file was not used'))


def _chunks(opener: urllib.request.OpenerDirector, url: str, wanted: PackageFile) -> Iterator[bytes]:
    """Yield the received bytes. Network errors become DownloadError; the caller handles errors of the disk."""
    request = urllib.request.Request(url, headers={'User-Agent': f'trt_perception/{__version__}'})
    try:
        with opener.open(request, timeout=_ANSWER_SECONDS) as response:
            while chunk := response.read(_CHUNK):
                yield chunk
    except urllib.error.HTTPError as error:
        error.close()
        kind = _TryAgain if error.code in _TRANSIENT else DownloadError
        raise kind(wanted, f'{url} answered {error.code} {error.reason}; {_CHECK}') from None
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: the proxy is not an address.
        reason = getattr(error, 'reason', error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise DownloadError(wanted, (
                f'the certificate of {urlsplit(url).hostname} is not trusted ({reason.verify_message}): install '
                'ca-certificates, or set SSL_CERT_FILE to your certificates')) from error
        text = getattr(reason, 'strerror', None) or str(reason) or type(reason).__name__
        raise _TryAgain(wanted, f'{urlsplit(url).hostname} could not be reached: {text}; {_CHECK}') from error
