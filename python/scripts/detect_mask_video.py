"""As the original's detect_mask_video.py: the same options, run by Maskwatch. Options: --help."""

import sys

import maskwatch

sys.exit(maskwatch.run_program("detect_mask_video", sys.argv[1:]))
