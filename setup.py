# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
from glob import glob

from setuptools import find_packages, setup

package_name = 'trt_perception'
# With the limits of requirements/runtime.txt.
run_onnx = ['onnx>=1.16,<2', 'onnxruntime>=1.16,<2']
command_line = [
    *run_onnx, 'opencv-python-headless>=4.5.4,<6', 'pyyaml>=5.4', 'rosbags>=0.11.0,<0.12', 'simplejpeg>=1.8,<2']

setup(
    name=package_name,
    version='0.1.0',
    packages=find_packages(include=[package_name, f'{package_name}.*']),
    package_data={package_name: ['py.typed', 'data/*', 'backends/tensorrt/cuda/kernels/*']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (f'share/{package_name}', ['package.xml', 'NOTICE']),
        (f'share/{package_name}/launch', sorted(glob('launch/*.launch.py'))),
        (f'share/{package_name}/config', sorted(glob('config/*.*'))),
        *[(f'share/{package_name}/config/{folder}', sorted(glob(f'config/{folder}/*.*')))
          for folder in ('monitoring', 'sros2')],
        (f'share/{package_name}/models', sorted(glob('models/*.*'))),
    ],
    python_requires='>=3.10',
    # NumPy alone is needed to import the package; what else a function needs it asks for by name
    # when it is called. ROS packages are declared in package.xml.
    install_requires=['setuptools', 'numpy'],
    extras_require={
        'onnxruntime': run_onnx,
        'litert': ['ai-edge-litert'],
        'openvino': [*run_onnx, 'openvino>=2025.4'],
        'cli': command_line,
        # `trt_perception export` and trt_perception.from_torch. PyTorch is needed where a model is exported, not on the
        # robot.
        'export': ['torch', 'torchvision', 'onnxscript', *command_line],
        # Beside TensorRT, if pycuda cannot be compiled.
        'cuda': ['cuda-bindings'],
        'view': ['netron'],
        'evaluate': ['faster-coco-eval'],
        'parquet': ['pyarrow'],
        # `trt_perception annotate --ray`, on all machines of the cluster.
        'ray': ['ray'],
        # Bags and results in object storage such as S3.
        's3': ['fsspec', 's3fs'],
        'compare': ['matplotlib', 'rich'],
        # colcon runs the tests with pytest because it is named here; current setuptools know no tests_require.
        'test': ['pytest', 'hypothesis'],
    },
    # The catalogue and the label lists are read as files.
    zip_safe=False,
    # The address and the URL are placeholders: RELEASING.md.
    url='https://trt-perception.invalid/trt_perception',
    author='trt_perception contributors',
    author_email='maintainers@trt-perception.invalid',
    maintainer='trt_perception contributors',
    maintainer_email='maintainers@trt-perception.invalid',
    description='Object detection and image classification for ROS 2 with TensorRT or ONNX Runtime',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'trt_perception = trt_perception.cli.main:main',
            'perception_node = trt_perception.node.main:main',
            'detections_3d_node = trt_perception.node.depth.main:main',
        ],
    },
)
