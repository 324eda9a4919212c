# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels files that are damaged, or made to take long."""

import itertools
import json


def nested_aliases(width=9, letters='abcdefghijklm', value='["x"]'):
    """YAML of a few hundred bytes that has width ** len(letters) entries when it is written out."""
    lines = [f'a: &a [{",".join([value] * width)}]']
    lines += [
        f'{name}: &{name} [{",".join([f"*{before}"] * width)}]' for before, name in itertools.pairwise(letters)]
    return '\n'.join(lines) + '\n'


def merged_keys(width=9, letters='abcdefghijklm'):
    """YAML whose merge keys copy width ** len(letters) pairs (PyYAML before 6.0.3)."""
    lines = [f'a: &a {{{",".join(f"k{index}: 1" for index in range(width))}}}']
    lines += [
        f'{name}: &{name} {{<<: [{",".join([f"*{before}"] * width)}]}}' for before, name in itertools.pairwise(letters)]
    return '\n'.join(lines) + '\n'


# File name -> content and what the error message says.
CRAFTED = {
    'aliases.yaml': (nested_aliases() + 'names: *m', 'class 0: expected a name, found list with 9 entries'),
    'in a mapping.yaml': (nested_aliases() + 'names: {0: *m}', 'class 0: expected a name, found list with 9 entries'),
    'as a count.yaml': (nested_aliases() + 'nc: *m\nnames: [a]', 'nc: is .*, but names: has 1 names'),
    'of mappings.yaml': (
        nested_aliases(value='{a: b}') + 'names: {person: *m}', "expected class indices as keys, found 'person'"),
    'merged.yaml': (
        merged_keys() + 'names: *m', "expected class indices as keys, found 'k0'|merge keys that make more than 10000"),
    'itself.yaml': ('names: &a [*a]', 'class 0: expected a name, found list with 1 entries'),
    'itself as a mapping.yaml': ('&a {names: *a}', "expected class indices as keys, found 'names'"),
    'deep.yaml': ('[' * 100_000, 'not valid YAML: it is nested too deeply'),
    'deep blocks.yaml': ('- ' * 50_000, 'not valid YAML: it is nested too deeply'),
    'deep mappings.yaml': ('{a: ' * 50_000, 'not valid YAML: it is nested too deeply'),
    'many digits.yaml': ('names: [' + '1' * 1_000_000 + ']', 'not valid YAML: a number with 1000000 digits'),
    'base 60.yaml': ('names: [' + ':'.join(['1'] * 500_000) + ']', 'not valid YAML: a number with 999999 digits'),
    'no day.yaml': ('names: [2026-99-99]', 'not valid YAML: month must be in 1..12'),
    'a day.yaml': ('names: [2026-01-01]', 'class 0: expected a name, found date '),
    'wrong tag.yaml': ('names: !!timestamp now', 'not valid YAML: a value does not fit its tag'),
    'empty int.yaml': ('names: [!!int ""]', 'not valid YAML: a value does not fit its tag'),
    'python.yaml': ('names: !!python/object/apply:os.system [exit]', 'could not determine a constructor for the tag'),
    'long key.yaml': ('x' * 1000 + ': 1', r'expected the key names:, found x{100} \.\.\.$'),
    'null.yaml': ('names: [a]\n\0', 'found a null byte at character 11'),
    'deep.json': ('[' * 100_000, 'not valid JSON: it is nested too deeply'),
    'deep mappings.json': ('{"a":' * 100_000, 'not valid JSON: it is nested too deeply'),
    'many digits.json': ('[' + '1' * 1_000_000 + ']', 'not valid JSON: a number with 1000000 digits'),
    'long key.json': ('{"' + 'x' * 100_000 + '": "a"}', r"expected class indices as keys, found 'x+\.\.\.x+'$"),
    'digits as a key.json': ('{"' + '1' * 1_000_000 + '": "a"}', r"class indices as keys, found '1+\.\.\.1+'$"),
    'nested.json': (json.dumps({'names': [{'a': list(range(1000))}]}), 'expected a name, found dict with 1 entries'),
    'binary.txt': (b'\x7fELF\0\0' * 100, 'found a null byte at character 4'),
    'utf-16.txt': ('person\ncar\n'.encode('utf-16'), 'found byte 0xff at offset 0; save the file as UTF-8'),
    'large.txt': (b'person\n' * 300_000, 'expected at most 2.0 MB, found more'),
    'large.yaml': (b'# \n' * 700_000, 'expected at most 2.0 MB, found more'),
    'zeros.txt': (bytes(1_999_999), 'found a null byte at character 0'),
}
