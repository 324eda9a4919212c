# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""README.zh-TW.md says what README.md says: sections, code, links, tables; and it is written as in Taiwan."""

import itertools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / 'README.zh-TW.md').is_file():
    pytest.skip('needs the whole checkout', allow_module_level=True)

ENGLISH = (ROOT / 'README.md').read_text(encoding='utf-8')
CHINESE = (ROOT / 'README.zh-TW.md').read_text(encoding='utf-8')
FENCE = re.compile(r'^```.*?^```$', re.M | re.S)
HAN = '\u3400-\u9fff'
# Comma, full stop, semicolon, colon, enumeration comma, parentheses, quotation marks, question mark.
FULL_WIDTH = '\uff0c\u3002\uff1b\uff1a\u3001\uff08\uff09\u300c\u300d\uff1f'
# Words of mainland China, and what Taiwan says.
NOT_IN_TAIWAN = {
    '圖像': '影像', '視頻': '影片', '攝像': '相機', '默認': '預設', '缺省': '預設', '軟件': '軟體', '硬件': '硬體',
    '內存': '記憶體', '線程': '執行緒', '進程': '行程', '應用程序': '應用程式', '文件夾': '資料夾',
    '配置文件': '設定檔', '模型文件': '模型檔', '標籤文件': '標籤檔', '信息': '訊息', '消息': '訊息', '加載': '載入',
    '支持': '支援', '服務器': '伺服器', '數據庫': '資料庫', '數據集': '資料集', '代碼庫': '儲存庫', '源碼': '原始碼',
    '源代碼': '原始碼', '網絡': '網路', '運行': '執行', '用戶': '使用者', '接口': '介面', '界面': '介面',
    '函數': '函式', '變量': '變數', '對象': '物件', '隊列': '佇列', '緩存': '快取', '字符': '字元', '字節': '位元組',
    '比特': '位元', '調用': '呼叫', '返回': '傳回', '創建': '建立', '屏幕': '螢幕', '打印': '印出', '鏈接': '連結',
    '端口': '連接埠', '質量': '品質', '優化': '最佳化', '激活': '啟用', '命令行': '命令列', '導出': '匯出',
    '導入': '匯入', '保存': '儲存', '項目': '專案', '幀': '影格', '分辨率': '解析度', '檢測': '偵測',
    '閾值': '門檻值', '置信度': '信心分數', '模塊': '模組', '插件': '外掛', '兼容': '相容', '實時': '即時',
    '登錄': '登入', '話題': 'topic', '魯棒': '強健', '當前': '目前'}


def sections(text):
    """Return (level, title, body) of each heading; `#` in code is a comment."""
    marked = FENCE.sub(lambda code: re.sub(r'^#', '\0', code.group(), flags=re.M), text)
    parts = re.split(r'^(#+) (.*)$', marked, flags=re.M)
    return [(len(level), title, body.replace('\0', '#'))
            for level, title, body in zip(parts[1::3], parts[2::3], parts[3::3])]


PAIRS = [
    (english, chinese, title)
    for (_, title, english), (_, _, chinese) in zip(sections(ENGLISH), sections(CHINESE))]
each_section = pytest.mark.parametrize(
    'english, chinese', [pair[:2] for pair in PAIRS], ids=[title for _, _, title in PAIRS])


def code_blocks(text):
    """Return the blocks without comments, and without the spaces before these."""
    return [re.sub(r' *#.*$', '', block, flags=re.M) for block in FENCE.findall(text)]


def code_spans(text):
    return sorted(re.findall(r'`([^`\n]+)`', FENCE.sub('', text)))


def rows(text):
    """Return the cells of each row of the tables."""
    lines = [line.strip('|') for line in text.splitlines() if line.startswith('|')]
    return [line.split('|' if '---' in line else ' | ') for line in lines]


def prose(text):
    """Return the text without code and without the targets of links."""
    return re.sub(r'\]\([^)]*\)', ']', re.sub(r'`[^`\n]+`', '`', FENCE.sub('', text)))


def test_the_same_sections():
    assert [level for level, _, _ in sections(CHINESE)] == [level for level, _, _ in sections(ENGLISH)]


@each_section
def test_the_same_code_apart_from_comments(english, chinese):
    assert code_blocks(chinese) == code_blocks(english)
    # A comment there is a comment here.
    for there, here in zip(FENCE.findall(english), FENCE.findall(chinese)):
        assert ['#' in line for line in here.splitlines()] == ['#' in line for line in there.splitlines()]


@each_section
def test_the_same_names_in_code(english, chinese):
    assert code_spans(chinese) == code_spans(english)


@each_section
def test_the_same_links(english, chinese):
    """In each section; a heading of this page has its Chinese name, and the link between the languages another end."""
    titles = [
        {title.lower().replace(' ', '-'): number for number, (_, title, _) in enumerate(sections(text))}
        for text in (ENGLISH, CHINESE)]

    def links(text, numbers):
        targets = re.findall(r'\]\(([^)]+)\)', text)
        return sorted(
            f'section {numbers[target[1:]]}' if target.startswith('#') else target for target in targets
            if not target.startswith('README'))

    assert links(chinese, titles[1]) == links(english, titles[0])


def test_each_links_to_the_other_at_the_top():
    assert ENGLISH.splitlines()[2] == 'English | [繁體中文](README.zh-TW.md)'
    assert CHINESE.splitlines()[2] == '[English](README.md) | 繁體中文'


@each_section
def test_the_same_tables(english, chinese):
    """As many cells in each row, the same names in the first, the same default values, and the same live parameters."""
    for there, here in itertools.zip_longest(rows(english), rows(chinese)):
        assert len(here) == len(there), (there, here)
        assert [code_spans(cell) for cell in here[:1]] == [code_spans(cell) for cell in there[:1]]
        assert here[-1].strip().endswith('即時生效') == there[-1].strip().endswith('; live')
    default = re.compile(r'`[^`]*`')
    assert ([row[1] for row in rows(chinese) if default.fullmatch(row[1])]
            == [row[1] for row in rows(english) if default.fullmatch(row[1])])


def test_numbers_are_the_same():
    """A version or a size that is changed there is changed here."""
    def numbers(text):
        return {number.rstrip('.') for number in re.findall(r'\d[\d.]*', prose(text))}

    # "half a megabyte"
    assert numbers(CHINESE) - {'0.5'} == numbers(ENGLISH)


def test_no_words_of_mainland_china():
    """A file is 檔案 or 檔; 文件 is a document."""
    assert {word: better for word, better in NOT_IN_TAIWAN.items() if word in CHINESE} == {}


def test_no_simplified_characters():
    """Big5 is the character set of Taiwan."""
    assert {sign for sign in CHINESE if re.match(f'[{HAN}]', sign) and not sign.encode('big5', 'ignore')} == set()


def test_a_space_between_chinese_and_latin():
    text = prose(CHINESE)
    assert re.findall(rf'[{HAN}][A-Za-z0-9`]|[A-Za-z0-9`%][{HAN}]', text) == []


def test_full_width_punctuation():
    text = prose(CHINESE)
    assert re.findall(rf'[{HAN}] ?[,;:!?(]|[,;:!?)] ?[{HAN}]|[{HAN}]\.', text) == []
    # Full-width signs bring their own space.
    assert re.findall(rf' [{FULL_WIDTH}]|[{FULL_WIDTH}] (?!\|)', text) == []


def test_a_line_does_not_break_inside_a_sentence():
    """GitHub shows a line break as a space, which Chinese has none of."""
    lines = FENCE.sub('', CHINESE).splitlines()
    for line, following in itertools.pairwise(lines):
        if line and following and not line.startswith(('#', '|')):
            assert following.startswith(('- ', '|')), following
