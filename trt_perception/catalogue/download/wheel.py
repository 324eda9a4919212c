# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Downloads a wheel with pip, from the indexes and folders that the user's pip is configured for.

pip knows its configuration files and PIP_* variables: indexes, folders of find-links, proxies, certificates, trusted
hosts, passwords. So pip itself downloads, with `--require-hashes`.

Only wheels are possible. For a source archive, every pip (tried: 22.0, 24.0, 26.3) runs setup.py or the build backend,
even with `pip download --no-deps --require-hashes`. `--only-binary :all:` makes pip ignore source archives. pip has no
public command that prints the URL of a file, so a package without a wheel cannot be in the catalogue.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import selectors
import shlex
import signal
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from ...child_process import signal_name, start_module
from ...errors import FetchError, one_line, reason
from ...file_cache import cannot_write, file_sha256, scratch_folder
from ...progress import ProgressCallback, silent
from .package_file import DownloadError, PackageFile

_POLL_SECONDS = 0.1
# As a shell needs it.
_PYTHON = shlex.quote(sys.executable)
# Characters of pip's text in an error message; pip may repeat a long URL.
_MOST_CHARACTERS = 600

_GOT = re.compile(r'^\s+Got\s+([0-9a-f]{64})$', re.MULTILINE)
# pip's errors, each on one line: a page that could not be fetched; an index that pip does not use; all others.
_NO_PAGE = re.compile(r'^\s*Could not fetch URL (.*) - skipping$', re.MULTILINE)
_NOT_USED = re.compile(r'^WARNING: (The repository located at .*|Location .*)$', re.MULTILINE)
_ERROR = re.compile(r'^(?:ERROR: (?!Exception:)|× )(.*)$', re.MULTILINE)  # noqa: RUF001 - pip's own sign
# The last line of a Python traceback.
_EXCEPTION = re.compile(r'^(?:\w+\.)*\w*(?:Error|Timeout): .*$', re.MULTILINE)
# The text after the number is in the user's language.
_DISK_ERROR = re.compile(rf'OSError: \[Errno (?:{errno.ENOSPC}|{errno.EDQUOT}|{errno.EFBIG})\] ([^:\n]*)')


def download_wheel(wanted: PackageFile, target: Path, progress: ProgressCallback | None = None) -> None:
    """Download the wheel to `target` and verify it. After a failure, `target` does not exist.

    wanted: a wheel for all platforms, NAME-VERSION-py2-none-any.whl, ...-py3-... or ...-py2.py3-...
    progress: an exception from it ends pip and is passed on

    Raises DownloadError with pip's own reason, or FetchError if `target` cannot be written.
    """
    # importlib.util.find_spec would also call setuptools' finder, which breaks `import distutils` in this process.
    if PathFinder.find_spec('pip') is None:
        raise DownloadError(wanted, (
            f'{_PYTHON} -m pip is not installed: sudo apt install python3-pip, or in a virtual environment: '
            f'{_PYTHON} -m ensurepip'))
    with scratch_folder(target) as folder:
        code, output = _run_pip(wanted, folder, progress or silent)
        if code:
            raise _failure(wanted, target, code, output)
        # An index may use another file name; the sha256 identifies the file.
        (arrived,) = (folder / 'wheel').iterdir()
        if file_sha256(arrived) != wanted.sha256:
            raise DownloadError(wanted, 'pip left a file with another sha256')
        arrived.replace(target)


def _arguments(wanted: PackageFile, folder: Path) -> list[str]:
    requirements = folder / 'requirements.txt'
    requirements.write_text(f'{wanted.package}=={wanted.version} --hash=sha256:{wanted.sha256}\n')
    # pip downloads a wheel for Python 2 only with --python-version 2. For py2.py3 this is 3.
    python = wanted.name.split('-')[-3].split('.')[-1].removeprefix('py')
    return [
        'download', '--no-deps', '--only-binary', ':all:', '--require-hashes', '--requirement', str(requirements),
        '--python-version', python, '--ignore-requires-python', '--dest', str(folder / 'wheel'),
        # The catalogue has its own cache.
        '--no-cache-dir',
        # Prints why a page could not be fetched.
        '-vv',
        '--no-input', '--no-color', '--disable-pip-version-check', '--progress-bar', 'off']


def _run_pip(wanted: PackageFile, folder: Path, progress: ProgressCallback) -> tuple[int, str]:
    """Return pip's exit code and output. pip has ended when this returns or raises."""
    arguments = _arguments(wanted, folder)
    try:
        working_folder = str(Path.cwd())
    except OSError:  # It was removed.
        working_folder = '/'
    try:
        process = start_module(
            f'{__package__}.pip_process', str(os.getpid()), working_folder, str(folder), *arguments,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        raise DownloadError(wanted, f'pip does not start: {reason(error)}') from error
    output = b''
    try:
        assert process.stdout is not None
        with process.stdout, selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                _report(wanted, folder, output, progress)
                if selector.select(_POLL_SECONDS):
                    chunk = os.read(process.stdout.fileno(), 1 << 16)
                    if not chunk:
                        break
                    output += chunk
        return process.wait(), output.decode(errors='replace')
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _report(wanted: PackageFile, folder: Path, output: bytes, progress: ProgressCallback) -> None:
    done = 0
    # pip may remove its temporary folders at the same time.
    with contextlib.suppress(OSError):
        done = max((path.stat().st_size for path in folder.rglob(wanted.name)), default=0)
    if done:
        progress(f'downloading {wanted.name}', done, wanted.size)
    elif b'WARNING: Retrying' in output:
        progress(f'no answer for {wanted.package}: pip tries again', 0, None)
    else:
        progress(f'pip looks for {wanted.package}', 0, None)


def _failure(wanted: PackageFile, target: Path, code: int, output: str) -> FetchError:
    full = _DISK_ERROR.search(output)
    if full:
        return cannot_write(target, full[1])
    return DownloadError(wanted, failure_reason(wanted, code, output))


def failure_reason(wanted: PackageFile, code: int, output: str) -> str:
    """Return in one line why pip failed. code: its exit code; output: its text with -vv."""
    if code < 0:
        return f'pip was ended by {signal_name(-code)}'
    got = _GOT.search(output)
    if got:
        return (
            f'the file that pip received has sha256 {got[1]}, expected {wanted.sha256}: either the download was cut '
            'short (try again), or the package index has another file with this name; the file was not used')
    old = re.search('^no such option: .*', output, re.MULTILINE)
    if old:
        return f'pip is too old ({old[0]}), expected 22.0 or newer: {_PYTHON} -m pip install --upgrade pip'
    said = [_shorter(text) for text in _NO_PAGE.findall(output)]
    said += _ERROR.findall(output)[:1] or [_shorter(text) for text in _EXCEPTION.findall(output)[-1:]]
    said += _NOT_USED.findall(output)
    if not said:
        said = output.strip().splitlines()[-1:] or [f'nothing, exit code {code}']
    quoted = one_line('; '.join(dict.fromkeys(said)), _MOST_CHARACTERS)
    return f'pip said: {quoted}; check the network and the settings of pip (pip config list)'


def _shorter(text: str) -> str:
    """Remove repeated URLs and names of Python objects from pip's reason."""
    text = re.sub(r'HTTPS?ConnectionPool\(.*?\): Max retries exceeded with url: \S+ \(Caused by (.*)\)$', r'\1', text)
    text = re.sub(r'<[^<>]* object at 0x[0-9a-f]+>: ', '', text)
    return re.sub(r' for url: \S+$', '', text)
