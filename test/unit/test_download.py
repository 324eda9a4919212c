# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Fetching with the real pip from a real package index: an HTTP server on this machine, with real wheels."""

import base64
import errno
import io
import os
import pwd
import signal
import socket
import subprocess
import sys
import tarfile
import venv
from dataclasses import replace
from importlib.machinery import PathFinder
from pathlib import Path

import pytest
from support.fetching import files_below, refusal
from support.package_server import PackageServer, sha256, wheel
from support.subprocesses import ROOT, python_environment

from trt_perception.catalogue.catalog import CatalogEntry, Output
from trt_perception.catalogue.download.archive import read_members
from trt_perception.catalogue.download.package_file import PackageFile
from trt_perception.catalogue.download.wheel import failure_reason
from trt_perception.catalogue.fetch import fetch_entry, fetched_path, is_fetched
from trt_perception.catalogue.resolve import resolve_video
from trt_perception.errors import FetchError
from trt_perception.file_cache import cache_root, is_intact, locked, replace_file, scratch_folder, store
from trt_perception.home import expanded

pytestmark = pytest.mark.skipif(PathFinder.find_spec('pip') is None, reason='needs pip: apt install python3-pip')

VIDEO = b'not really a video, but bytes are bytes' * 1000
FILE = 'demo_videos-1.0-py3-none-any.whl'
PAGE = 'https://pypi.org/project/Demo_Videos/1.0/#files'
WHEEL = wheel({'demo/street.mp4': VIDEO, '../../escaped.txt': b'must not be written', 'demo/__init__.py': b'1/0'})
ENTRY = CatalogEntry(
    name='street', kind='video', description='', package='Demo_Videos', version='1.0', file=FILE,
    size=len(WHEEL), sha256=sha256(WHEEL), members={'video': 'demo/street.mp4'}, licence='CC0',
    output=Output('street.mp4', len(VIDEO), sha256(VIDEO)), raw={'name': 'street'})
# pip writes 256 KiB at a time.
BIG = wheel({'demo/street.mp4': VIDEO, 'demo/padding': bytes(3 << 20)})
BIG_ENTRY = replace(ENTRY, size=len(BIG), sha256=sha256(BIG))
# A process that fetches ENTRY and prints its path.
FETCH = (
    'import resource, sys\n'
    'from test_download import BIG_ENTRY, ENTRY, fetch_entry\n'
    'print(fetch_entry(ENTRY))\n')


@pytest.fixture
def index(monkeypatch):
    server = PackageServer()
    monkeypatch.setenv('PIP_INDEX_URL', server.index_url)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give an empty cache and a pip without settings, without patience and, unless a test has one, without an index."""
    for name in [name for name in os.environ if name.startswith('PIP_')]:
        monkeypatch.delenv(name)
    for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY', 'no_proxy', 'NO_PROXY'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('PIP_CONFIG_FILE', os.devnull)
    monkeypatch.setenv('PIP_INDEX_URL', 'http://127.0.0.1:9/simple')
    monkeypatch.setenv('PIP_RETRIES', '0')
    monkeypatch.setenv('NETRC', str(tmp_path / 'no-netrc'))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'trt_perception'


def start_fetch(script=FETCH, **options):
    return subprocess.Popen(
        [sys.executable, '-c', script], env=python_environment(Path(__file__).parent), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, **options)


# --- fetching --------------------------------------------------------------------------------

def test_fetch_takes_the_named_member_alone_and_a_second_call_asks_nobody(index, cache, tmp_path):
    index.offer(FILE, body=WHEEL)
    path = fetch_entry(ENTRY)
    assert path == cache / 'videos' / 'street.mp4' == fetched_path(ENTRY)
    assert path.read_bytes() == VIDEO
    assert files_below(tmp_path) == [
        f'cache/trt_perception/downloads/{FILE}', 'cache/trt_perception/locks/street.lock',
        'cache/trt_perception/videos/street.mp4', 'cache/trt_perception/videos/street.mp4.json']
    assert index.requests == ['/simple/demo-videos/', '/files/' + FILE]
    assert fetch_entry(ENTRY) == path
    assert len(index.requests) == 2
    assert is_fetched(ENTRY)


def test_no_code_of_a_package_runs(index, tmp_path):
    """The index also has a source archive of the same version. pip would run its setup.py for the metadata."""
    script = f"open({str(tmp_path / 'ran')!r}, 'w')\n".encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode='w:gz') as file:
        info = tarfile.TarInfo('demo_videos-1.0/setup.py')
        info.size = len(script)
        file.addfile(info, io.BytesIO(script))
    hostile = wheel({'demo/street.mp4': VIDEO, 'setup.py': script, 'demo/__init__.py': script})
    index.offer(FILE, 'demo-videos-1.0.tar.gz', body=hostile)
    index.pages['/files/demo-videos-1.0.tar.gz'] = (200, 'application/gzip', archive.getvalue())
    assert fetch_entry(replace(ENTRY, size=len(hostile), sha256=sha256(hostile))).read_bytes() == VIDEO
    assert index.downloads() == ['/files/' + FILE]
    source = replace(ENTRY, raw={}, file='demo-videos-1.0.tar.gz', size=1, sha256=sha256(archive.getvalue()))
    with pytest.raises(FetchError):
        fetch_entry(source)
    assert not (tmp_path / 'ran').exists()


def test_wheel_for_python_2_is_fetched_too(index):
    name = 'demo_videos-1.0-py2-none-any.whl'
    index.offer(name, body=WHEEL)
    assert fetch_entry(replace(ENTRY, file=name)).read_bytes() == VIDEO


def test_damaged_result_is_made_again_from_the_kept_download(index):
    index.offer(FILE, body=WHEEL)
    path = fetch_entry(ENTRY)
    path.write_bytes(VIDEO[:-1] + b'?')
    assert not is_fetched(ENTRY)
    assert fetch_entry(ENTRY).read_bytes() == VIDEO
    assert len(index.downloads()) == 1


def test_damaged_download_is_downloaded_again(index, cache):
    index.offer(FILE, body=WHEEL)
    path = fetch_entry(ENTRY)
    path.unlink()
    (cache / 'downloads' / FILE).write_bytes(WHEEL[:-1] + b'?')
    assert fetch_entry(ENTRY).read_bytes() == VIDEO
    assert len(index.downloads()) == 2


def test_changed_catalogue_entry_makes_the_cached_file_outdated(index):
    index.offer(FILE, body=WHEEL)
    fetch_entry(ENTRY)
    changed = replace(ENTRY, raw={'name': 'street', 'output': 'other'})
    assert not is_fetched(changed)


# --- failures --------------------------------------------------------------------------------

def test_file_with_another_hash_is_refused_and_not_kept(index, cache):
    other = WHEEL[:-1] + b'?'
    index.offer(FILE, body=other)
    assert f'received has sha256 {sha256(other)}, expected {sha256(WHEEL)}' in refusal(ENTRY, PAGE)
    assert files_below(cache) == ['locks/street.lock']


def test_index_without_this_version_is_said(index):
    index.offer('demo_videos-2.0-py3-none-any.whl', body=WHEEL)
    message = refusal(ENTRY, PAGE)
    assert 'Could not find a version that satisfies the requirement Demo_Videos==1.0 (from versions: 2.0)' in message


def test_index_without_this_package_is_said(index):
    message = refusal(ENTRY, PAGE)
    assert f'{index.index_url}/demo-videos/: 404 Client Error: Not Found; Could not find a version' in message


def test_index_that_wants_a_login_is_said_without_the_password(index, monkeypatch):
    index.pages['/simple/demo-videos/'] = (401, 'text/plain', b'who are you')
    monkeypatch.setenv('PIP_INDEX_URL', index.index_url.replace('//', '//user:s3cret@'))
    message = refusal(ENTRY, PAGE)
    assert '401 Client Error: Unauthorized' in message and 's3cret' not in message


def test_connection_that_breaks_leaves_nothing(index, cache):
    index.offer(FILE, body=WHEEL)
    index.pages['/files/' + FILE] = (200, 'application/octet-stream', WHEEL[:1000], len(WHEEL))
    message = refusal(ENTRY, PAGE)
    # pip before 25.1 uses an incomplete file as if it were complete.
    assert 'not enough bytes were received' in message or f'received has sha256 {sha256(WHEEL[:1000])}' in message
    assert files_below(cache) == ['locks/street.lock']


def test_busy_index_is_said(index):
    index.pages['/simple/demo-videos/'] = (503, 'text/plain', b'busy')
    assert 'too many 503 error responses' in refusal(ENTRY, PAGE)


def test_page_that_is_no_index_is_said(index):
    index.pages['/simple/demo-videos/'] = (200, 'text/html', b'\xff\xfe\xfd')
    assert "pip said: UnicodeDecodeError: 'utf-8' codec can't decode" in refusal(ENTRY, PAGE)


def test_index_that_does_not_answer_is_said(index, monkeypatch):
    index.delay = 3.0
    monkeypatch.setenv('PIP_DEFAULT_TIMEOUT', '1')
    message = refusal(ENTRY, PAGE)
    assert 'Read timed out' in message or "didn't respond within 1" in message


def test_unreachable_index_is_said(monkeypatch):
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        url = f'http://127.0.0.1:{unused.getsockname()[1]}/simple'
        monkeypatch.setenv('PIP_INDEX_URL', url)
        monkeypatch.setenv('PIP_RETRIES', '1')
        texts = []
        with pytest.raises(FetchError):
            fetch_entry(ENTRY, progress=lambda text, done, total: texts.append(text))
        assert 'no answer for Demo_Videos: pip tries again' in texts
        message = refusal(ENTRY, PAGE)
    assert f'{url}/demo-videos/: ' in message and '[Errno 111] Connection refused' in message
    assert 'object at 0x' not in message


def test_python_without_pip_is_said(tmp_path):
    venv.create(tmp_path / 'bare', with_pip=False)
    script = (
        'import pathlib\n'
        'from trt_perception.catalogue.download.wheel import PackageFile, download_wheel\n'
        'try:\n'
        '    download_wheel(PackageFile("a", "1", "a-1-py3-none-any.whl", 1, "0"), pathlib.Path("never"))\n'
        'except Exception as error:\n'
        '    print(type(error).__name__, error)\n')
    answer = subprocess.run(
        [str(tmp_path / 'bare' / 'bin' / 'python'), '-c', script], env={'PYTHONPATH': str(ROOT)}, cwd=tmp_path,
        capture_output=True, text=True, timeout=600)
    assert answer.stdout.startswith('DownloadError a-1-py3-none-any.whl could not be downloaded: '), answer.stderr
    assert 'python -m pip is not installed: sudo apt install python3-pip' in answer.stdout
    assert not (tmp_path / 'never').exists()


def test_old_pip_is_said():
    """The text is that of pip 20.3.4."""
    output = '\nUsage:   \n  python -m pip download [options] ...\n\nno such option: --ignore-requires-python\n'
    reason = failure_reason(PackageFile('a', '1', FILE, 1, '0'), 2, output)
    assert reason == (
        'pip is too old (no such option: --ignore-requires-python), expected 22.0 or newer: '
        f'{sys.executable} -m pip install --upgrade pip')


def test_full_disk_is_said(index, cache):
    """A size limit for files replaces the full disk: pip raises an OSError for both."""
    index.offer(FILE, body=WHEEL)
    script = FETCH.replace('print', 'resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\nprint')
    process = start_fetch(script)
    error = process.communicate(timeout=600)[1].splitlines()[-1]
    assert f'downloads/{FILE} cannot be written: File too large; free space, or set XDG_CACHE_HOME to a folder' in error
    assert 'another machine' not in error
    assert files_below(cache) == ['locks/street.lock']


def test_cache_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    with pytest.raises(FetchError, match=r'cannot be written.*XDG_CACHE_HOME'):
        fetch_entry(ENTRY)


# --- the settings of pip ---------------------------------------------------------------------

def test_second_index_is_asked_when_the_first_has_it_not(index, monkeypatch):
    index.offer(FILE, body=WHEEL)
    other = PackageServer()
    try:
        monkeypatch.setenv('PIP_INDEX_URL', other.index_url)
        monkeypatch.setenv('PIP_EXTRA_INDEX_URL', index.index_url)
        assert fetch_entry(ENTRY).read_bytes() == VIDEO
        assert other.requests == ['/simple/demo-videos/']
    finally:
        other.close()


def test_credentials_of_the_index_are_sent(index, monkeypatch):
    index.offer(FILE, body=WHEEL)
    monkeypatch.setenv('PIP_INDEX_URL', index.index_url.replace('//', '//us%40er:s3cret@'))
    fetch_entry(ENTRY)
    expected = 'Basic ' + base64.b64encode(b'us@er:s3cret').decode()
    assert [headers.get('Authorization') for headers in index.headers] == [expected] * 2


def test_proxy_of_pip_is_used(index, monkeypatch):
    index.offer(FILE, body=WHEEL)
    monkeypatch.setenv('PIP_INDEX_URL', 'http://packages.invalid/simple')
    monkeypatch.setenv('PIP_TRUSTED_HOST', 'packages.invalid')
    monkeypatch.setenv('PIP_PROXY', index.url)
    assert fetch_entry(ENTRY).read_bytes() == VIDEO
    assert index.requests[0] == 'http://packages.invalid/simple/demo-videos/'


def test_index_that_pip_does_not_trust_is_said(monkeypatch):
    monkeypatch.setenv('PIP_INDEX_URL', 'http://packages.invalid/simple')
    assert 'The repository located at packages.invalid is not a trusted or secure host' in refusal(ENTRY, PAGE)


def test_configuration_file_of_pip_is_read(index, tmp_path, monkeypatch):
    index.offer(FILE, body=WHEEL)
    (tmp_path / 'pip.conf').write_text(
        f'[global]\nindex-url = {index.index_url}\nrequire-virtualenv = true\n[download]\nquiet = 3\n')
    monkeypatch.setenv('PIP_CONFIG_FILE', str(tmp_path / 'pip.conf'))
    monkeypatch.delenv('PIP_INDEX_URL')
    # It has no effect in a virtual environment.
    monkeypatch.setenv('PIP_REQUIRE_VIRTUALENV', '1')
    assert fetch_entry(ENTRY).read_bytes() == VIDEO


def test_settings_of_pip_for_installing_do_not_disturb(index, tmp_path, monkeypatch):
    index.offer(FILE, body=WHEEL)
    (tmp_path / 'constraints.txt').write_text('demo-videos<1\n')
    monkeypatch.setenv('PIP_CONSTRAINT', str(tmp_path / 'constraints.txt'))
    monkeypatch.setenv('PIP_NO_BINARY', ':all:')
    monkeypatch.setenv('PIP_PYTHON_VERSION', '2.7')
    monkeypatch.setenv('PIP_DEST', str(tmp_path / 'elsewhere'))
    assert fetch_entry(ENTRY).read_bytes() == VIDEO
    assert not (tmp_path / 'elsewhere').exists()
    monkeypatch.setenv('PIP_INDEX_URL', 'http://127.0.0.1:9/simple')
    monkeypatch.setenv('PIP_QUIET', '3')
    fetched_path(ENTRY).unlink()
    (cache_root() / 'downloads' / FILE).unlink()
    assert 'Connection refused' in refusal(ENTRY, PAGE)


# --- without network -------------------------------------------------------------------------

def test_package_file_from_disk_needs_no_index(tmp_path):
    for name in (FILE, 'renamed.bin'):
        given = tmp_path / name
        given.write_bytes(WHEEL)
        fetched_path(ENTRY).unlink(missing_ok=True)
        assert fetch_entry(ENTRY, package_file=given).read_bytes() == VIDEO


def test_package_file_from_disk_is_checked(tmp_path):
    given = tmp_path / FILE
    given.write_bytes(b'something else')
    with pytest.raises(FetchError, match=f'is not {FILE} of Demo_Videos 1.0: its sha256 is'):
        fetch_entry(ENTRY, package_file=given)
    with pytest.raises(FetchError, match='No such file'):
        fetch_entry(ENTRY, package_file=tmp_path / 'none.whl')
    # A device would never end.
    for path in (Path('/dev/zero'), tmp_path):
        with pytest.raises(FetchError, match=f'^{path}: expected {FILE}, found a folder, a device or a pipe$'):
            fetch_entry(ENTRY, package_file=path)


def test_find_links_folder_serves_without_network(tmp_path, monkeypatch):
    (tmp_path / 'usb').mkdir()
    (tmp_path / 'usb' / FILE).write_bytes(WHEEL)
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    # A relative path starts at the user's folder.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PIP_FIND_LINKS', 'usb')
    assert fetch_entry(ENTRY).read_bytes() == VIDEO


def test_index_in_a_folder(tmp_path, monkeypatch):
    page = tmp_path / 'simple' / 'demo-videos' / 'index.html'
    page.parent.mkdir(parents=True)
    (tmp_path / FILE).write_bytes(WHEEL)
    page.write_text(f'<!DOCTYPE html><html><body><a href="../../{FILE}">{FILE}</a></body></html>')
    monkeypatch.setenv('PIP_INDEX_URL', (tmp_path / 'simple').as_uri())
    assert fetch_entry(ENTRY).read_bytes() == VIDEO


def test_offline_uses_the_cache_and_nothing_else(index):
    index.offer(FILE, body=WHEEL)
    with pytest.raises(FetchError, match='downloads are off here: run trt_perception fetch street'):
        fetch_entry(ENTRY, offline=True)
    assert index.requests == []
    fetch_entry(ENTRY)
    assert fetch_entry(ENTRY, offline=True).read_bytes() == VIDEO


def test_input_size_is_for_detectors():
    with pytest.raises(FetchError, match='street has a fixed size'):
        fetch_entry(ENTRY, input_size=640)


# --- progress, cancelling, two at once -------------------------------------------------------

def test_progress_follows_the_growing_file(index):
    index.offer(FILE, body=BIG)
    index.chunk_delay = 0.05
    reports = []
    fetch_entry(BIG_ENTRY, progress=lambda *report: reports.append(report))
    assert reports[0] == ('pip looks for Demo_Videos', 0, None)
    amounts = [done for text, done, total in reports if (text, total) == (f'downloading {FILE}', len(BIG))]
    assert amounts == sorted(amounts) and len(set(amounts)) > 3
    assert 0 < amounts[0] < len(BIG)


class Cancelled(Exception):
    pass


def test_cancelling_ends_pip_and_leaves_nothing(index, cache):
    index.offer(FILE, body=BIG)
    index.chunk_delay = 0.05

    def cancel(text, done, total):
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        fetch_entry(BIG_ENTRY, progress=cancel)
    assert index.broken.wait(600)
    assert files_below(cache) == ['locks/street.lock']


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGKILL])
def test_pip_ends_with_the_process_that_fetches(index, cache, number):
    index.offer(FILE, body=BIG)
    index.chunk_delay = 0.05
    process = start_fetch(FETCH.replace('(ENTRY)', '(BIG_ENTRY, progress=lambda text, *_: print(text, flush=True))'))
    assert process.stdout is not None
    while not process.stdout.readline().startswith('downloading'):
        assert process.poll() is None
    process.send_signal(number)
    process.communicate(timeout=600)
    assert process.returncode != 0
    assert index.broken.wait(600)
    if number == signal.SIGINT:
        assert files_below(cache) == ['locks/street.lock']
    assert not fetched_path(ENTRY).exists()


def test_two_processes_download_once(index):
    index.offer(FILE, body=WHEEL)
    index.chunk_delay = 0.1
    processes = [start_fetch() for _ in range(2)]
    answers = [process.communicate(timeout=600)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert answers == [str(fetched_path(ENTRY))] * 2
    assert len(index.downloads()) == 1
    assert fetched_path(ENTRY).read_bytes() == VIDEO


# --- parts -----------------------------------------------------------------------------------

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
    with pytest.raises(FetchError, match=r'has no member a-1/link\.bin'):
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


def test_output_that_ended_is_no_fault_of_the_file(tmp_path):
    """`trt_perception export ... | head` printed that the model cannot be written, and to free space."""
    with pytest.raises(BrokenPipeError), scratch_folder(tmp_path / 'model.onnx'):
        raise BrokenPipeError(errno.EPIPE, 'Broken pipe')
    with pytest.raises(BrokenPipeError), locked(tmp_path / 'model.lock'):
        raise BrokenPipeError(errno.EPIPE, 'Broken pipe')
    assert [path.name for path in tmp_path.iterdir()] == ['model.lock']


def test_scratch_folder_goes_with_its_content_and_so_does_an_old_one(tmp_path):
    stale = tmp_path / '.a.1.folder.part'
    stale.mkdir()
    (stale / 'half').write_bytes(b'of a process that was killed')
    os.utime(stale, (0, 0))

    def work(folder):
        assert not stale.exists()
        assert folder.parent == tmp_path
        (folder / 'file').write_bytes(b'half')
        raise RuntimeError

    with pytest.raises(RuntimeError), scratch_folder(tmp_path / 'a') as folder:
        work(folder)
    assert list(tmp_path.iterdir()) == []
    message = 'a cannot be written: No such file or directory; free space'
    with pytest.raises(FetchError, match=message), scratch_folder(tmp_path / 'a') as folder:
        (folder / 'missing' / 'file').write_bytes(b'')


def test_cache_root_follows_xdg_if_absolute(monkeypatch, tmp_path):
    assert cache_root() == tmp_path / 'cache' / 'trt_perception'
    monkeypatch.setenv('HOME', '/home/me')
    for value in ('', 'relative/path'):
        monkeypatch.setenv('XDG_CACHE_HOME', value)
        assert cache_root() == Path('/home/me/.cache/trt_perception')


@pytest.mark.parametrize('change', [lambda patch: patch.setenv('HOME', ''), lambda patch: patch.delenv('HOME')])
def test_an_empty_home_is_none(monkeypatch, change):
    """The cache was in /.cache, and ~/a.onnx was /a.onnx."""
    own = pwd.getpwuid(os.getuid()).pw_dir.rstrip('/')
    monkeypatch.delenv('XDG_CACHE_HOME')
    change(monkeypatch)
    assert cache_root() == Path(f'{own}/.cache/trt_perception')
    found = [expanded(name) for name in ('~/a/', '~', 'a~', '~/~', '')]
    assert found == [f'{own}/a/', own or '/', 'a~', f'{own}/~', '']
    assert resolve_video('~/none.avi') == Path(f'{own}/none.avi')


def test_without_a_home_folder_a_path_stays(monkeypatch):
    monkeypatch.setenv('HOME', '')
    monkeypatch.setattr(os, 'getuid', lambda: 4_000_000_000)
    assert expanded('~/a.onnx') == '~/a.onnx'
    monkeypatch.delenv('XDG_CACHE_HOME')
    with pytest.raises(FetchError, match='expected a home folder to store models in, found none: set XDG_CACHE_HOME'):
        cache_root()
