# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

from trt_perception.catalogue.download.pip_config import DEFAULT_INDEX, IndexSettings, read_index_settings
from trt_perception.errors import FetchError


def config(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    return path


def test_default_is_pypi():
    assert read_index_settings({}, []) == IndexSettings(index_urls=(DEFAULT_INDEX,))


def test_later_files_sections_and_variables_win(tmp_path):
    site = config(tmp_path, 'site', '[global]\nindex-url = https://site/simple\ntimeout = 60\ncert = /ca.pem\n')
    user = config(tmp_path, 'user', (
        '[global]\nindex_url = https://user/simple\nextra-index-url =\n    https://a/simple\n    /srv/index\n'
        '[install]\ntrusted-host = h:8080\n'))
    settings = read_index_settings({}, [site, tmp_path / 'missing', user])
    assert settings == IndexSettings(
        index_urls=('https://user/simple', 'https://a/simple', 'file:///srv/index'), timeout=60.0,
        certificates='/ca.pem', trusted_hosts=frozenset({'h:8080'}))
    settings = read_index_settings({
        'PIP_INDEX_URL': 'https://env/simple', 'PIP_EXTRA_INDEX_URL': 'https://b/simple https://env/simple',
        'PIP_DEFAULT_TIMEOUT': '7', 'PIP_PROXY': 'http://proxy:3128', 'PIP_CERT': ''}, [user])
    assert settings.index_urls == ('https://env/simple', 'https://b/simple')
    assert (settings.timeout, settings.proxy, settings.certificates) == (7.0, 'http://proxy:3128', '')


def test_install_section_wins_over_global_of_a_later_file(tmp_path):
    first = config(tmp_path, '1', '[install]\nindex-url = https://install/simple\n')
    second = config(tmp_path, '2', '[global]\nindex-url = https://global/simple\n')
    assert read_index_settings({}, [first, second]).index_urls == ('https://install/simple',)


def test_no_index_leaves_folders(tmp_path):
    settings = read_index_settings({'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': 'file:///usb /srv/wheels https://h/l'}, [])
    assert settings.index_urls == ()
    assert settings.find_links == (Path('/usb'), Path('/srv/wheels'))


def test_pip_files_are_found_where_pip_looks(tmp_path):
    (tmp_path / '.config' / 'pip').mkdir(parents=True)
    (tmp_path / '.config' / 'pip' / 'pip.conf').write_text('[global]\nindex-url = https://home/simple\n')
    own = config(tmp_path, 'own.conf', '[global]\nextra-index-url = https://own/simple\n')
    environment = {'HOME': str(tmp_path), 'XDG_CONFIG_DIRS': str(tmp_path / 'none')}
    assert 'https://home/simple' in read_index_settings(environment).index_urls
    environment['PIP_CONFIG_FILE'] = str(own)
    assert 'https://own/simple' in read_index_settings(environment).index_urls
    environment['PIP_CONFIG_FILE'] = os.devnull
    assert read_index_settings(environment).index_urls == (DEFAULT_INDEX,)


def test_broken_pip_file_is_named(tmp_path):
    path = config(tmp_path, 'pip.conf', 'index-url = https://no-section/simple\n')
    with pytest.raises(FetchError, match=f"pip's configuration {path} cannot be read"):
        read_index_settings({}, [path])
