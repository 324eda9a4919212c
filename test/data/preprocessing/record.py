# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Records what torchvision makes of the images of support/parity_images.py. Needs torch, torchvision and Pillow.

python record.py writes torchvision.npz beside this file; with --inputs FOLDER also the images, as PNG.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import PIL
import torchvision
from PIL import Image
from torchvision import transforms

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[1]))

from support.parity_images import SIDE, image, sizes

BICUBIC = transforms.InterpolationMode.BICUBIC
RESIZED = round(SIDE / 0.875)


def main():
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--inputs', type=Path)
    options = parser.parse_args()
    crop = [transforms.CenterCrop(SIDE), transforms.ToTensor()]
    pipelines = {
        # That of many tutorials, without mean and std.
        'plain': [transforms.Resize(RESIZED), *crop],
        'imagenet': [
            transforms.Resize(RESIZED), *crop, transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])],
        'bicubic': [transforms.Resize(RESIZED, BICUBIC), *crop],
        'stretch': [transforms.Resize((SIDE, SIDE)), transforms.ToTensor()]}
    found = {'versions': np.array([f'torchvision {torchvision.__version__}', f'Pillow {PIL.__version__}'])}
    for index, (width, height) in enumerate(sizes()):
        picture = Image.fromarray(image(index, width, height))
        if options.inputs:
            picture.save(options.inputs / f'{index}.png')
        for name, pipeline in pipelines.items():
            tensor = transforms.Compose(pipeline)(picture).numpy()
            if name != 'imagenet':
                # All values are 255ths, and stored as whole numbers.
                found[f'{name}_{index}'] = np.rint(tensor * 255).astype(np.uint8)
            elif index % 4 == 0:
                found[f'{name}_{index}'] = tensor
    np.savez_compressed(FOLDER / 'torchvision.npz', **found)


if __name__ == '__main__':
    main()
