# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Records the names that a TensorRT version has in Python, without a GPU and without TensorRT's libraries.

    python test/data/tensorrt_api/record.py tensorrt_cu13_bindings 11.4.0.106 11.4.0.json

The wheel with the bindings is small and can be imported once the libraries that it is linked with are there: empty ones
take their places. Needs pip, a C compiler, nm and readelf, and a Python that the wheel is made for. The classes looked
at are those of the recording that is there, or else those of 11.4.0.json.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
NAMES = """
import json, sys
import tensorrt
print(json.dumps({
    name: sorted(getattr(value, '__members__', None) or (part for part in dir(value) if not part.startswith('_')))
    for name, value in vars(tensorrt).items()}))
"""


def output_of(*command, **options):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def unpack(package, version, folder):
    output_of(
        sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', str(folder),
        f'{package}=={version}')
    with zipfile.ZipFile(next(folder.glob('*.whl'))) as wheel:
        wheel.extractall(folder)
    return next(folder.glob('*/tensorrt.so'))


def add_empty_libraries(module):
    missing = re.findall(r' U (\w*(?:Infer|Onnx|Plugin)\w*)', output_of('nm', '--dynamic', str(module)))
    source = module.with_name('empty.c')
    source.write_text(''.join(f'void *{name}(void) {{ return 0; }}\n' for name in missing), encoding='utf-8')
    for library in re.findall(r'NEEDED.*\[(libnv\w+\.so\.\d+)\]', output_of('readelf', '--dynamic', str(module))):
        output_of(
            'cc', '-w', '-shared', '-fPIC', f'-Wl,-soname,{library}', '-o', str(module.with_name(library)), str(source))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('package')
    parser.add_argument('version')
    parser.add_argument('file', help='name of the recording, in this folder')
    options = parser.parse_args()
    target = HERE / options.file
    keys = json.loads((target if target.is_file() else HERE / '11.4.0.json').read_text(encoding='utf-8'))
    with tempfile.TemporaryDirectory() as folder:
        module = unpack(options.package, options.version, Path(folder))
        add_empty_libraries(module)
        names = json.loads(output_of(
            sys.executable, '-c', NAMES, cwd=module.parent, env={'LD_LIBRARY_PATH': '.', 'PYTHONPATH': '.'}))
    record = {
        'version': target.stem, 'source': f'{options.package} {options.version}, by record.py',
        'enums': {name: names[name] for name in keys['enums'] if name in names},
        'classes': {name: names[name] for name in keys['classes'] if name in names},
        'functions': [name for name in keys['functions'] if name in names]}
    target.write_text(json.dumps(record, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
