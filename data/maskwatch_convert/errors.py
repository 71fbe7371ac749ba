"""How faults are told: the one exception that a user may see, the import that explains itself, and a command line
whose faults are one line."""

import argparse
import importlib
import re

# As base/printable.h has it: controls, and what turns the direction of writing or breaks a line.
STEERS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class ConvertError(Exception):
    """A fault of the input or the set-up; its text is the line that the user reads, without the name
    of the source. `path` names the file at fault where that is not the source."""

    exit_code = 2

    def __init__(self, message, path=None):
        super().__init__(message)
        self.path = path


class WriteError(ConvertError):
    """The result cannot be written: a failure at work, such as a full disk."""

    exit_code = 1


def need(module, package=None):
    """The module by that name, or a ConvertError that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = package or module.split(".")[0]
        raise ConvertError(
            f"this conversion needs the Python package '{name}', which does not load ({error}); "
            f"install it with: pip install {name}"
        ) from error


def printable(text):
    """On one line, with nothing that a terminal would obey rather than show."""

    def written_out(match):
        code = ord(match[0])
        byte = code - 0xDC00 if 0xDC80 <= code < 0xDD00 else code  # of a file's name that is not UTF-8
        return f"\\x{byte:02x}" if byte < 0x80 or byte != code else f"\\u{{{code:04x}}}"

    return STEERS.sub(written_out, " ".join(text.split()))


class CommandLine(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, printable(f"error: {message}; --help explains") + "\n")
