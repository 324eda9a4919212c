# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the network sees of each camera: the parameters roi, rotate and ignore_areas. Does not import ROS."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import ParameterError
from ...parameters.camera_names import CameraName
from ...parameters.settings import Settings
from ...results.regions import Region, areas_for, parse_area

_ROI_NUMBERS = 4


def regions_of(settings: Settings, cameras: Sequence[CameraName]) -> list[Region]:
    """Return the region of each camera. Raises ParameterError for a wrong number of values or an unknown topic."""
    roi, rotate = settings.roi, settings.rotate
    several = len(cameras)
    if len(roi) not in (_ROI_NUMBERS, _ROI_NUMBERS * several):
        raise ParameterError(
            f'roi has {len(roi)} numbers: expected x, y, width and height for all cameras, or for each of the '
            f'{several} image_topics')
    if len(rotate) not in (1, several):
        raise ParameterError(
            f'rotate has {len(rotate)} numbers: expected one for all cameras, or one for each of the {several} '
            'image_topics')
    known = {name for camera in cameras for name in (camera.given, camera.topic)}
    for text in settings.ignore_areas:
        area = parse_area(text)
        if area is not None and area[0] and area[0] not in known:
            raise ParameterError(
                f"ignore_areas names '{area[0]}': expected one of image_topics, "
                f'{", ".join(camera.given for camera in cameras)}')
    regions = []
    for index, camera in enumerate(cameras):
        first = _ROI_NUMBERS * index if len(roi) > _ROI_NUMBERS else 0
        x, y, width, height = roi[first:first + _ROI_NUMBERS]
        regions.append(Region(
            x, y, width, height, rotate[index if len(rotate) > 1 else 0],
            areas_for(settings.ignore_areas, (camera.given, camera.topic))))
    return regions
