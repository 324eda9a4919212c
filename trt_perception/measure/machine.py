# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a measurement depends on: the machine, its clocks and power mode, and the versions of the software.

Nothing here names the user, the host or the network, so that a report can be published.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from .. import __version__

_COMMAND_S = 10
_PACKAGES = (
    'numpy', 'onnx', 'onnxruntime', 'onnxruntime-gpu', 'openvino', 'ai-edge-litert', 'tensorrt', 'tensorrt-rtx',
    'pycuda', 'cuda-bindings', 'torch')
_GPU_FIELDS = ('name', 'driver_version', 'memory.total', 'clocks.sm', 'clocks.max.sm', 'power.limit')
# In the order of the report. Jetson's GPU is a devfreq device: 17000000.gpu, 17000000.ga10b, 57000000.gpu.
_JETSON_GPU = re.compile(r'\.(gpu|ga10b|gv11b|gp10b|gb10b)$|^gpu')


def machine() -> dict[str, str]:
    """Return the facts of this machine and its software by name. What cannot be read is left out."""
    cores = len(os.sched_getaffinity(0))
    facts = {
        'machine': _device_tree_model(),
        'cpu': f'{_cpu_model()}, {cores} of {os.cpu_count()} cores usable, {platform.machine()}',
        'memory': _total_memory(),
        'gpu': _gpu(),
        'jetson': _first_line('/etc/nv_tegra_release'),
        'power mode': _power_mode(),
        'system': f'{_system()}, Linux {platform.release()}, Python {platform.python_version()}',
        'ros': ' '.join(filter(None, (os.environ.get('ROS_DISTRO'), os.environ.get('RMW_IMPLEMENTATION')))),
        'versions': ', '.join(_versions()),
    }
    return {name: value for name, value in facts.items() if value}


def state() -> dict[str, str]:
    """Return what changes during a measurement: clocks, governor, temperature, load. Unreadable values are left out."""
    governors = sorted(set(_read_all('/sys/devices/system/cpu', 'cpu[0-9]*/cpufreq/scaling_governor')))
    temperatures = [int(text) / 1000 for text in _read_all('/sys/class/thermal', 'thermal_zone*/temp') if _number(text)]
    facts = {
        'governor': ', '.join(governors),
        'cpu clock': _cpu_clock(),
        'gpu clock': _gpu_clock(),
        'hottest sensor': f'{max(temperatures):.0f} C' if temperatures else '',
        'load average (1 min)': f'{os.getloadavg()[0]:.2f}',
    }
    return {name: value for name, value in facts.items() if value}


def busy_warning(facts: dict[str, str]) -> str:
    """Return a warning if other programs kept all cores busy at the time of this `state`, otherwise ''."""
    cores = len(os.sched_getaffinity(0))
    load = float(facts['load average (1 min)'])
    if load <= cores:
        return ''
    return f'other programs used the CPU (load average {load:.1f} on {cores} cores): measure again'


def gpu_memory_mb() -> float | None:
    """Return the memory in use on all GPUs in MB, of all processes, None if nvidia-smi cannot tell."""
    answer = _output('nvidia-smi', '--query-gpu=memory.used', '--format=csv,noheader,nounits')
    values = [line.strip() for line in answer.splitlines()]
    if not values or not all(map(_number, values)):
        return None
    return round(sum(int(value) for value in values) * 1024 ** 2 / 1e6, 1)


def _cpu_model() -> str:
    for name in ('model name', 'Model', 'Hardware'):
        found = re.search(rf'^{name}\s*:\s*(.+)$', _read('/proc/cpuinfo'), re.M)
        if found:
            return ' '.join(found.group(1).split())
    # ARM: lscpu knows the names of the parts.
    found = re.search(r'^Model name:\s*(.+)$', _output('lscpu'), re.M)
    return found.group(1).strip() if found else 'unknown CPU'


def _cpu_clock() -> str:
    current = [int(text) // 1000 for text in _read_all(
        '/sys/devices/system/cpu', 'cpu[0-9]*/cpufreq/scaling_cur_freq') if _number(text)]
    highest = [int(text) // 1000 for text in _read_all(
        '/sys/devices/system/cpu', 'cpu[0-9]*/cpufreq/scaling_max_freq') if _number(text)]
    if not current:
        current = [int(float(text)) for text in re.findall(r'^cpu MHz\s*:\s*([\d.]+)', _read('/proc/cpuinfo'), re.M)]
    if not current:
        return ''
    limit = f', at most {max(highest)}' if highest else ''
    return f'{min(current)} to {max(current)} MHz{limit}'


def _gpu() -> str:
    lines = _output('nvidia-smi', f'--query-gpu={",".join(_GPU_FIELDS)}', '--format=csv,noheader').splitlines()
    return '; '.join(
        ', '.join(f'{name} {value}' if name != 'name' else value for name, value in zip(
            _GPU_FIELDS, (part.strip() for part in line.split(',')))) for line in lines)


def _gpu_clock() -> str:
    lines = _output('nvidia-smi', '--query-gpu=clocks.sm', '--format=csv,noheader').splitlines()
    if lines:
        return '; '.join(line.strip() for line in lines)
    for device in sorted(Path('/sys/class/devfreq').glob('*')):
        current, highest = _read(str(device / 'cur_freq')), _read(str(device / 'max_freq'))
        if _JETSON_GPU.search(device.name) and _number(current) and _number(highest):
            return f'{int(current) // 1_000_000} MHz, at most {int(highest) // 1_000_000}'
    return ''


def _power_mode() -> str:
    """Return the answer of nvpmodel, which Jetson boards have, in one line."""
    return ' '.join(_output('nvpmodel', '-q').split())


def _versions() -> Iterable[str]:
    yield f'trt_perception {__version__}'
    for name in _PACKAGES:
        try:
            yield f'{name} {metadata.version(name)}'
        except metadata.PackageNotFoundError:
            continue
    try:
        import cv2
        yield f'OpenCV {cv2.__version__}'
    except ImportError:
        return


def _system() -> str:
    found = re.search(r'^PRETTY_NAME="?(.*?)"?$', _read('/etc/os-release'), re.M)
    return found.group(1) if found else platform.system()


def _total_memory() -> str:
    found = re.search(r'^MemTotal:\s+(\d+) kB', _read('/proc/meminfo'), re.M)
    return f'{int(found.group(1)) / 1024 ** 2:.1f} GiB' if found else ''


def _device_tree_model() -> str:
    return _read('/proc/device-tree/model').strip('\0 \n')


def _first_line(path: str) -> str:
    return _read(path).partition('\n')[0].strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text('utf-8', 'replace').strip('\n')
    except OSError:
        return ''


def _read_all(folder: str, pattern: str) -> list[str]:
    return [text for path in sorted(Path(folder).glob(pattern)) if (text := _read(str(path)))]


def _number(text: str) -> bool:
    return text.strip().isdigit()


def _output(*command: str) -> str:
    """Return what a program prints, '' if it is not installed or fails."""
    program = shutil.which(command[0])
    if program is None:
        return ''
    try:
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, errors='replace', timeout=_COMMAND_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ''
    return done.stdout.strip() if done.returncode == 0 else ''
