"""What is read at most, of files, requests and texts that others wrote: one table, which docs/limits.md shows.

A limit is checked before anything of that size is asked for or built. Each is far above what honest files have; what a
person may want to move has an option of its own, which this is the default of.
"""

from __future__ import annotations

PICTURE_PIXELS = 50_000_000
"""Pixels of a picture or of a video's frame; ``--max-pixels`` moves it."""
PICTURE_PIXEL_BYTES = 32
"""Memory that decoding may take for each pixel, at its highest and whatever the file is; of pages and frames the first
alone is decoded.
"""
MAP_VALUES = 1 << 28
"""Values of one array of a heatmap's file."""
TENSOR_VALUES = 1 << 32
"""Values of one tensor of a model's file."""
TENSORS = 20_000
"""Tensors of a file, and arrays of an archive."""
DIMENSIONS = 16
"""Dimensions of an array."""
ITEM_BYTES = 16
"""Bytes of one number of an array: 16 have the largest complex ones."""
UNPACKED_BYTES = 1 << 28
"""What an archive may unpack to, where that is more than :data:`UNPACKED_TIMES` times its own size."""
UNPACKED_TIMES = 64
"""Into how many times its own size an archive may unpack."""
HEADER_BYTES = 100_000_000
"""Header of a safetensors file, as in the format's own reader."""
OWN_HEADER_BYTES = 8 << 20
"""Header of a safetensors file that isotherm wrote itself."""
MODULES = 4000
"""Modules and tensors of a network that is built as a file describes it."""
PARAMETERS = 1 << 26
"""Numbers of such a network beyond those that the file holds."""
PLAIN_BYTES = 64 << 20
"""A JSON file that isotherm wrote itself: records, recipes, notes of what is kept."""
TABLE_BYTES = 1 << 28
"""A table of figures that isotherm wrote itself."""
ANNOTATION_BYTES = 1_000_000_000
"""A file of annotations."""
NAMES_BYTES = 20_000_000
"""A file of class names, or the configuration of a model."""
RECIPE_BYTES = 1 << 20
"""A recipe or a sweep."""
DESCRIPTION_BYTES = 1_000_000
"""The description of a YOLO."""
DESCRIPTION_LAYERS = 2000
"""Layers in the description of a YOLO."""
DESCRIPTION_VALUES = 1000
"""Values in a layer's arguments there, and other entries."""
DESCRIPTION_NUMBERS = 1 << 30
"""Numbers of the network that the description of a YOLO asks for; the largest that ultralytics has has 155 million."""
CONFIG_LAYERS = 400
"""Layers of a network in the configuration of a model."""
MODEL_SIDE = 4096
"""Side of the pictures of a grounding model, in pixels."""
CONFIG_DEPTH = 20
"""Lists and objects within one another in the configuration of a model."""
LIST_BYTES = 64 << 20
"""A list of pictures."""
TEXT_LETTERS = 100_000
"""An annotation or an answer of a model, in letters."""
COUNT_DIGITS = 15
"""Digits of a count in an answer."""
FETCHED_BYTES = 64 << 20
"""A picture that is fetched from an address."""
CLIP_BYTES = 2 << 30
"""The frames of a clip in memory."""
REQUEST_BYTES = 8 << 20
"""The body of a request to the studio, files aside."""
REQUEST_DEPTH = 12
"""Lists and objects within one another in a request to the studio."""
SENT_PICTURE_BYTES = 64 << 20
"""A picture that is sent to the studio."""
SENT_VIDEO_BYTES = 512 << 20
"""A video that is sent to the studio."""
