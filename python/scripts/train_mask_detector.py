"""As the original's train_mask_detector.py: the same options, run by Maskwatch. Options: --help."""

import sys

import maskwatch

sys.exit(maskwatch.run_program("train_mask_detector", sys.argv[1:]))
