"""How faults are told: the one exception that a user may see, the import that explains itself, and a command line
whose faults are one line."""

import argparse
import importlib


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


class CommandLine(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"error: {message}; --help explains\n")
